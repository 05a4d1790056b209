import { InvalidRequest } from '../errors.js';
import type { Handlers } from '../pipeline.js';
import type { UseReads } from '../ports/reads.js';
import { personIn } from '../record.js';

/** What one transaction erases in time. */
const MAX_ERASED = 50_000;

export interface PrivacyParts {
  readonly uses: Pick<UseReads, 'personalFields'>;
}

/**
 * A tenant's admin erases personal fields of the tenant's log: values and salts go, the digests in the records stay, and so does every
 * proof. What was erased is told by a record of the same transaction.
 */
export const privacyHandlers = ({ uses }: PrivacyParts): Handlers<'ErasePersonalFields'> => ({
  ErasePersonalFields: async ({ input, call, snapshot }) => {
    const { fromSeq, toSeq, principal, fields } = input;
    const abouts = principal === undefined ? undefined : [principal, personIn(snapshot, principal)];
    const { count, sharedFrom } = await uses.personalFields(call.tenant, { fromSeq, toSeq, abouts, fields });
    if (count > MAX_ERASED)
      throw new InvalidRequest([{ field: 'toSeq', message: `there are ${count} such fields: erase at most ${MAX_ERASED} at a time` }]);
    const range = { fromSeq, ...(toSeq !== undefined && { toSeq }) };
    return {
      answer: { ...range, fields, erased: count },
      details: {
        change: {
          ...range,
          fields: fields.join(' '),
          erased: count,
          ...(principal !== undefined && { principal: personIn(snapshot, principal) }),
        },
      },
      apply: (writes) => writes.erasePersonalFields({ ...range, sharedFrom, abouts, fields }, count),
    };
  },
});
