import type { TenantId } from '#contract';
import {
  type BoundImport,
  type Checkpoints,
  type Clock,
  type RootKeeping,
  type RootRotationStore,
  type RotatingRoot,
  systemClock,
  type WrappedKeyVersion,
  workerRecord,
} from '#core';
import { seldom } from './seldom.js';

const PAGE = 50;
/** A tenant with very many keys keeps the others, and heartbeats, waiting for so long only. */
const PAGES_A_ROUND = 10;
const DROP_EVERY_MS = 60_000;

export interface RootRotationParts {
  readonly roots: RootRotationStore;
  readonly custody: RootKeeping;
  readonly lead: Pick<Checkpoints, 'asLeader'>;
  readonly onFailure: (error: unknown, about: { readonly tenant: string; readonly keyId?: string }) => void;
  readonly clock?: Clock;
}

/**
 * Carries out the rotation of a tenant's root that an admin began: every blob is wrapped anew, then no decision that rests on an old blob
 * is accepted any more, then the old root is destroyed, then the record tells it. Each step may be repeated, and the next one begins
 * where the database says.
 */
export class RootRotations {
  readonly #dropping: ReturnType<typeof seldom>;

  constructor(private readonly parts: RootRotationParts) {
    this.#dropping = seldom(DROP_EVERY_MS, parts.clock);
  }

  /** @throws KeywardError unavailable, when nobody can tell what is under way */
  async round(): Promise<void> {
    const { roots, lead, onFailure } = this.parts;
    await lead.asLeader(async () => {
      if (this.#dropping() !== undefined) await roots.dropExpiredImports();
      for (const rotation of await roots.rotatingRoots()) {
        try {
          await (rotation.rewrapped ? this.#retire(rotation) : this.#rewrap(rotation));
        } catch (error) {
          onFailure(error, { tenant: rotation.tenant });
        }
      }
    });
  }

  async #rewrap({ tenant, root }: RotatingRoot): Promise<void> {
    const { roots } = this.parts;
    for (let page = 0; page < PAGES_A_ROUND; page++) {
      const [imports, versions] = [await roots.importsToRewrap(tenant, PAGE), await this.#versionsToRewrap(tenant)];
      if (imports.length + versions.length === 0) return void (await roots.endRewrapping(tenant));
      for (const one of imports) if (!(await this.#takeOver(one, async () => this.#import(one, root)))) return;
      for (const one of versions) if (!(await this.#takeOver(one, async () => this.#version(one, root)))) return;
    }
  }

  async #versionsToRewrap(tenant: TenantId): Promise<WrappedKeyVersion[]> {
    const { roots } = this.parts;
    const blobs = await roots.blobsToRewrap(tenant, PAGE);
    const ids = new Set(blobs.map(({ versionId }) => versionId));
    const found: WrappedKeyVersion[] = [];
    for (const keyId of new Set(blobs.map((blob) => blob.keyId)))
      found.push(...((await roots.key(tenant, keyId))?.versions ?? []).filter(({ versionId }) => ids.has(versionId)));
    return found;
  }

  async #version(version: WrappedKeyVersion, root: number): Promise<void> {
    await this.parts.roots.saveRewrapped(version, await this.parts.custody.rewrap(version, root));
  }

  async #import(bound: BoundImport, root: number): Promise<void> {
    await this.parts.roots.saveRewrappedImport(bound, await this.parts.custody.rewrapImport(bound, root));
  }

  /** One that cannot be wrapped anew holds up the rotation, and is told: the old root stays as long as anything is under it. */
  async #takeOver({ tenant, keyId }: { readonly tenant: string; readonly keyId: string }, work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      this.parts.onFailure(error, { tenant, keyId });
      return false;
    }
  }

  async #retire(rotation: RotatingRoot): Promise<void> {
    const { roots, custody, clock = systemClock } = this.parts;
    const { tenant, root, logId } = rotation;
    await custody.destroyOlderRoots(tenant, root);
    const change = { root, destroyed: root - 1 };
    await roots.retireRoot(rotation, workerRecord(logId, clock.now().getTime(), { op: 'RetireRoot', category: 'management', change }));
  }
}
