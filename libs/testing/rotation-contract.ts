import { type Alias, type KeySpec, type TenantId, USAGES_OF } from '#contract';
import {
  type BindingChecks,
  type Custody,
  KeyBindingBroken,
  keyNamesRow,
  keyRotationRow,
  type KeyRotator,
  newKeyId,
  newKeyVersionId,
  newLogId,
  Permit,
  PermitMisused,
  type RotationOrder,
  type RuleBindings,
  type RuleRow,
} from '#core';

const ACME = 'acme' as TenantId;
const GLOBEX = 'globex' as TenantId;
const AAD = Buffer.from('aad');

interface Rotating {
  readonly key: Custody & RuleBindings;
  readonly data: Custody & BindingChecks;
  readonly signer: KeyRotator;
}

/** What the worker may have rotated, of every custody (custody-contract.ts). `rotating` answers once it is made, with acme's root 0. */
export function rotationContract(rotating: () => Rotating): void {
  describe('a rotation that the worker asks for', () => {
    const bind = (row: RuleRow) => rotating().key.bindRule(new Permit({ operation: 'PutKeyRotation', tenant: row.tenant }), row);
    /** A key with names and a rotation policy, and the order to rotate it. */
    async function anOrder(spec: KeySpec = 'AES_256', isOff = false): Promise<RotationOrder> {
      const now = Date.now();
      const draft = {
        tenant: ACME,
        keyId: newKeyId(now),
        versionId: newKeyVersionId(now),
        logId: newLogId(now),
        origin: 'KEYWARD',
      } as const;
      const creating = new Permit<'CreateKey'>({ operation: 'CreateKey', tenant: ACME, versionId: draft.versionId });
      const primary = await rotating().key.createKeyVersion(creating, { ...draft, spec, usage: USAGES_OF[spec][0] }, 0);
      const names = {
        keyId: draft.keyId,
        aliases: ['alias/b' as Alias, 'alias/a' as Alias],
        tags: { team: 'blue' },
        primaryVersion: draft.versionId,
      };
      const policy = { version: 1, intervalDays: isOff ? undefined : 90 };
      return {
        key: { ...names, namesMac: await bind(keyNamesRow(ACME, names)) },
        rotation: { ...policy, mac: await bind(keyRotationRow(ACME, { keyId: draft.keyId, ...policy })) },
        ...{ primary, versionId: newKeyVersionId(now), root: 0 },
      };
    }
    const permit = ({ versionId }: Pick<RotationOrder, 'versionId'>) =>
      new Permit<'CreateKeyVersion'>({ operation: 'CreateKeyVersion', tenant: ACME, versionId });
    const rotate = (order: RotationOrder, by = permit(order)) => rotating().signer.rotateKey(by, order);

    it('makes the next version, and binds it to its key as the primary one', async () => {
      const order = await anOrder();
      const { version, namesMac } = await rotate(order);
      expect(version).toEqual({ ...order.primary, versionId: order.versionId, blob: version.blob, mac: version.mac });
      expect(version.blob).not.toEqual(order.primary.blob);
      const row = keyNamesRow(ACME, { ...order.key, primaryVersion: order.versionId });
      expect(await rotating().key.checkBindings([{ ...row, mac: namesMac }])).toEqual([true]);
      for (const one of [order.primary, version]) {
        const { tenant, versionId } = one;
        const sealed = await rotating().data.encrypt(new Permit({ operation: 'Encrypt', tenant, versionId, aad: AAD }), one, AAD);
        const opened = await rotating().data.decrypt(new Permit({ operation: 'Decrypt', tenant, versionId, aad: AAD }), one, sealed);
        expect(Buffer.from(opened)).toEqual(AAD);
      }
    });

    it.each<[string, (order: RotationOrder, other: RotationOrder) => Partial<RotationOrder>]>([
      ['a policy that says more often', ({ rotation }) => ({ rotation: { ...rotation, intervalDays: 7 } })],
      ['another version of the policy', ({ rotation }) => ({ rotation: { ...rotation, version: 2 } })],
      ["another key's policy", (_, { rotation }) => ({ rotation })],
      ['another name', ({ key }) => ({ key: { ...key, aliases: ['alias/b' as Alias] } })],
      ['another tag', ({ key }) => ({ key: { ...key, tags: { team: 'red' } } })],
      ["another key's names", ({ key }, other) => ({ key: { ...other.key, keyId: key.keyId } })],
      ['another primary version', ({ key }, { primary }) => ({ key: { ...key, primaryVersion: primary.versionId } })],
      ["another key's row", (_, { primary }) => ({ primary })],
      ['an edited row', ({ primary }) => ({ primary: { ...primary, logId: newLogId(1) } })],
      ['the version that it has', ({ primary }) => ({ versionId: primary.versionId })],
    ])('is refused for %s', async (_, changed) => {
      const order = await anOrder();
      await expect(rotate({ ...order, ...changed(order, await anOrder()) })).rejects.toThrow(KeyBindingBroken);
      await expect(rotate(order)).resolves.toBeDefined();
    });

    it('is refused for a policy that was switched off, and for keys that are not rotated so', async () => {
      await expect(rotate(await anOrder('AES_256', true))).rejects.toThrow();
      await expect(rotate(await anOrder('HMAC_256'))).rejects.toThrow(KeyBindingBroken);
    });

    it('takes a permit for its own tenant and version, once', async () => {
      const order = await anOrder();
      const once = permit(order);
      await rotate(order, once);
      await expect(rotate(order, once)).rejects.toThrow(PermitMisused);
      await expect(rotate(order, permit({ versionId: newKeyVersionId(1) }))).rejects.toThrow(PermitMisused);
      const foreign = new Permit<'CreateKeyVersion'>({ operation: 'CreateKeyVersion', tenant: GLOBEX, versionId: order.versionId });
      await expect(rotate(order, foreign)).rejects.toThrow(PermitMisused);
    });
  });
}
