import type { KeyObject } from 'node:crypto';
import type { KeyOperation, SecretUse } from '#contract';
import type { Handlers } from '../pipeline.js';
import type { CompletionCertifier, Custody, KeyImports, RuleBindings, SecretKeys } from '../ports/custody.js';
import type { GrantPolicy, PolicyTools } from '../ports/grants.js';
import type { Reads, UseReads } from '../ports/reads.js';
import type { SecretReads } from '../ports/secrets.js';
import type { RowProofs, RuleStore } from '../ports/rules.js';
import type { OperationWatch } from '../operation-watch.js';
import type { OperationReads } from '../ports/rewraps.js';
import type { StopSeals } from '../stop-seals.js';
import { aliasHandlers } from './aliases.js';
import { capabilityHandlers } from './capabilities.js';
import { importHandlers } from './imports.js';
import { jobHandlers } from './jobs.js';
import { keyRotationHandlers } from './key-rotation.js';
import { keyUsageHandlers } from './key-usage.js';
import { keyVersionHandlers } from './key-versions.js';
import { keyLifeHandlers } from './keys.js';
import { logHandlers } from './log.js';
import { longOperationHandlers } from './long-operations.js';
import { offBoardingHandlers } from './off-boarding.js';
import { operatorHandlers } from './operators.js';
import { peopleHandlers } from './people.js';
import { policyHandlers } from './policies.js';
import type { BindingKeyMaker } from '../ports/binding-keys.js';
import { bindingKeyHandlers } from './binding-key.js';
import { quotaHandlers } from './quotas.js';
import { rootHandlers } from './roots.js';
import { secretHandlers } from './secrets.js';
import { secretUseHandlers } from './secret-uses.js';
import { sinkHandlers, type SinkParts } from './sinks.js';
import { privacyHandlers } from './privacy.js';
import { versionEndHandlers } from './version-end.js';
import { stopHandlers } from './stops.js';

export interface KeyPlaneParts {
  readonly custody: Custody & RuleBindings & KeyImports & CompletionCertifier & SecretKeys & BindingKeyMaker;
  readonly rules: Pick<RuleStore, 'identityProvider' | 'credential'> & RowProofs;
  readonly reads: Reads;
  readonly uses: UseReads;
  readonly grants: GrantPolicy;
  readonly tools: PolicyTools;
  readonly seals: StopSeals;
  readonly sinks: SinkParts;
  readonly secrets: SecretReads;
  readonly operations: OperationReads;
  readonly watch: OperationWatch;
  readonly pepper: KeyObject;
  /** First part of every log's origin. */
  readonly platformHost: string;
}

/** Everything the key plane does. An operation of the table without a handler does not compile here. */
export const keyHandlers = (parts: KeyPlaneParts): Handlers<KeyOperation | SecretUse> => ({
  ...operatorHandlers(parts),
  ...peopleHandlers(parts),
  ...keyLifeHandlers(parts),
  ...keyVersionHandlers(parts),
  ...keyRotationHandlers(parts),
  ...rootHandlers(parts),
  ...bindingKeyHandlers(parts),
  ...importHandlers(parts),
  ...capabilityHandlers(parts),
  ...aliasHandlers(parts),
  ...policyHandlers(parts),
  ...stopHandlers(parts),
  ...sinkHandlers(parts.sinks),
  ...secretHandlers({ ...parts, proofs: parts.rules }),
  ...secretUseHandlers({ ...parts, proofs: parts.rules }),
  ...privacyHandlers(parts),
  ...logHandlers(parts),
  ...keyUsageHandlers(parts),
  ...longOperationHandlers(parts),
  ...versionEndHandlers(parts),
  ...jobHandlers(parts),
  ...quotaHandlers(parts),
  ...offBoardingHandlers(parts),
});
