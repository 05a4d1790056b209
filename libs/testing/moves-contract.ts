import { boundContext, type KeySpec, type ServiceName, type TenantId } from '#contract';
import {
  type BindingChecks,
  ciphertextHeader,
  type Custody,
  DecryptFailed,
  type ItemMover,
  KeyBindingBroken,
  type MoveOrder,
  newKeyId,
  newKeyVersionId,
  newLogId,
  newLongOperationId,
  Permit,
  PermitMisused,
  rewrapRow,
  type RuleBindings,
} from '#core';

const ACME = 'acme' as TenantId;
const GLOBEX = 'globex' as TenantId;
const PLAINTEXT = Buffer.from('a data key of thirty-two bytes!!');
const BILLING = 'billing' as ServiceName;
const CONTEXT = Buffer.from(boundContext(ACME, { purpose: 'invoice' }));

interface Moving {
  readonly key: Custody & RuleBindings;
  readonly data: Custody & BindingChecks;
  readonly signer: ItemMover;
}

/** What the worker may have moved, of every custody (custody-contract.ts). `moving` answers once it is made, with acme's root 0. */
export function movesContract(moving: () => Moving): void {
  describe('an item that the worker has moved', () => {
    /** Two versions of a key, the project to move from the one to the other, and an item. */
    async function anOrder({ service }: Pick<MoveOrder['rewrap'], 'service'> = { service: BILLING }): Promise<MoveOrder> {
      const spec: KeySpec = 'AES_256';
      const now = Date.now();
      const of = { tenant: ACME, keyId: newKeyId(now), logId: newLogId(now), origin: 'KEYWARD', spec, usage: 'ENCRYPT_DECRYPT' } as const;
      const [from, to] = await Promise.all(
        [newKeyVersionId(now - 1000), newKeyVersionId(now)].map((versionId) => {
          const creating = new Permit<'CreateKey'>({ operation: 'CreateKey', tenant: ACME, versionId });
          return moving().key.createKeyVersion(creating, { ...of, versionId }, 0);
        }),
      );
      const project = {
        ...{ operationId: newLongOperationId(now), keyId: of.keyId, service },
        ...{ fromVersionId: from!.versionId, toVersionId: to!.versionId },
      };
      const mac = await moving().key.bindRule(new Permit({ operation: 'StartRewrap', tenant: ACME }), rewrapRow(ACME, project));
      const aad = Buffer.concat([ciphertextHeader('dataKey', from!.versionId, 'AES_256'), CONTEXT]);
      const sealing = new Permit<'Encrypt'>({ operation: 'Encrypt', tenant: ACME, versionId: from!.versionId, aad });
      const sealed = await moving().data.encrypt(sealing, from!, PLAINTEXT);
      return { rewrap: { ...project, mac }, from: from!, to: to!, kind: 'dataKey', sealed };
    }
    const permit = ({ to }: Pick<MoveOrder, 'to'>, aad = CONTEXT) =>
      new Permit<'ReEncryptTo'>({ operation: 'ReEncryptTo', tenant: ACME, versionId: to.versionId, aad });
    const move = (order: MoveOrder, by = permit(order)) => moving().signer.moveItem(by, order);

    it('opens under the newer version and its context, and under nothing else', async () => {
      const order = await anOrder();
      const moved = await move(order);
      const { tenant, versionId } = order.to;
      const open = (kind: 'direct' | 'dataKey', context: Buffer) => {
        const aad = Buffer.concat([ciphertextHeader(kind, versionId, 'AES_256'), context]);
        return moving().data.decrypt(new Permit<'Decrypt'>({ operation: 'Decrypt', tenant, versionId, aad }), order.to, moved);
      };
      expect(Buffer.from(await open('dataKey', CONTEXT))).toEqual(PLAINTEXT);
      await expect(open('direct', CONTEXT)).rejects.toThrow(DecryptFailed);
      await expect(open('dataKey', Buffer.concat([CONTEXT, CONTEXT]))).rejects.toThrow(DecryptFailed);
    });

    it.each<[string, (order: MoveOrder, other: MoveOrder) => Partial<MoveOrder>]>([
      ['another project', ({ rewrap }, other) => ({ rewrap: { ...rewrap, operationId: other.rewrap.operationId } })],
      ['another service', ({ rewrap }) => ({ rewrap: { ...rewrap, service: 'search' as ServiceName } })],
      ['the tenant itself, its secrets', ({ rewrap }) => ({ rewrap: { ...rewrap, service: undefined } })],
      ['no project', ({ rewrap }) => ({ rewrap: { ...rewrap, mac: new Uint8Array(32) } })],
      ["another key's project", (_, { rewrap }) => ({ rewrap })],
      ['the other direction', ({ from, to }) => ({ from: to, to: from })],
      ['a newer version that it does not name', ({ rewrap }) => ({ rewrap: { ...rewrap, toVersionId: newKeyVersionId(Date.now()) } })],
      ["another key's version to move to", (_, { to }) => ({ to })],
      ["another key's version to move from", (_, { from }) => ({ from })],
      ['an edited row', ({ from }) => ({ from: { ...from, logId: newLogId(1) } })],
    ])('is refused for %s', async (_, changed) => {
      const order = await anOrder();
      const asked = { ...order, ...changed(order, await anOrder()) };
      await expect(move(asked, permit(asked))).rejects.toThrow(KeyBindingBroken);
      await expect(move(order)).resolves.toBeDefined();
    });

    it('is a data key of a secret, for a project that is of no service, and of none only', async () => {
      const order = await anOrder({ service: undefined });
      await expect(move(order)).resolves.toBeDefined();
      const stranger = { ...order, rewrap: { ...order.rewrap, service: BILLING } };
      await expect(move(stranger)).rejects.toThrow(KeyBindingBroken);
    });

    it('keeps its context and its kind: whoever names another one moves nothing', async () => {
      const order = await anOrder();
      const other = Buffer.from(boundContext(ACME, { purpose: 'other' }));
      await expect(move(order, permit(order, other))).rejects.toThrow(DecryptFailed);
      await expect(move({ ...order, kind: 'direct' })).rejects.toThrow(DecryptFailed);
    });

    it('takes a permit for its own tenant and version, once', async () => {
      const order = await anOrder();
      const once = permit(order);
      await move(order, once);
      await expect(move(order, once)).rejects.toThrow(PermitMisused);
      await expect(move(order, permit({ to: order.from }))).rejects.toThrow(PermitMisused);
      const foreign = { operation: 'ReEncryptTo', tenant: GLOBEX, versionId: order.to.versionId, aad: CONTEXT } as const;
      await expect(move(order, new Permit<'ReEncryptTo'>(foreign))).rejects.toThrow(PermitMisused);
    });
  });
}
