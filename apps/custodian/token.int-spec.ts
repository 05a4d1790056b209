import { TestCustodian, TestToken } from './test-bed.js';
import { onToken } from './test-on-token.js';

describe('a token', () => {
  let token: TestToken;
  beforeAll(async () => {
    token = new TestToken();
    const custodian = await TestCustodian.started(token);
    await custodian.stop();
  });
  afterAll(() => token?.remove());

  it('loses only half-made objects to the sweeper', () => {
    const report = onToken(
      token,
      `
      const { id, ...halfMade } = rootTemplate(named('keyward/root/half-made'));
      cryptoki.generateKey(token.holder, 'aes', halfMade);
      const { label, ...nameless } = halfMade;
      cryptoki.generateKey(token.holder, 'aes', nameless);
      cryptoki.generateKey(token.holder, 'aes', { ...nameless, label: 'of another application' });
      cryptoki.generateKey(token.holder, 'aes', rootTemplate(named('keyward/root/without-a-row')));
      return [await sweep(token), await sweep(token)];`,
    );
    // Complete: the binding key, the canary's root, and the root that no row names.
    expect(report).toEqual([
      { destroyed: 2, complete: 3, foreign: 1 },
      { destroyed: 0, complete: 3, foreign: 1 },
    ]);
  });

  it('does not accept a readable key as a root, whatever its name', () => {
    const reason = onToken(
      token,
      `
      const { modifiable, ...weak } = { ...rootTemplate(namedRoot('mallory', 0)), sensitive: false, extractable: true };
      cryptoki.generateKey(token.holder, 'aes', weak);
      const custody = new TokenCustody(token, 'SOFTWARE_TOKEN', { of: () => undefined }, { cachedKeys: 10, cachedForMs: 1000 });
      return await custody.createKeyVersion({ tenant: 'mallory' }, 0).then(() => 'allowed', ({ reason }) => reason);`,
    );
    expect(reason).toMatch(/^custody: a root has sensitive = false/);
  });

  it('does not accept a readable key as the binding key or a log key, whatever its name', () => {
    const reasons = onToken(
      token,
      `
      const limits = { cachedKeys: 10, cachedForMs: 1000 };
      const custody = () => new TokenCustody(token, 'SOFTWARE_TOKEN', { of: () => undefined }, limits);
      const readable = { sensitive: false, extractable: true };
      const label = 'keyward/log/mallory';
      cryptoki.generateEd25519(token.holder, logPublicKey('Ed25519', label), { ...logPrivateKey('Ed25519', label), ...readable });
      const ofLog = refusal(() => custody().logKeys('mallory', [1]));
      for (const key of token.find(named('keyward/binding-key'))) cryptoki.destroy(token.holder, key);
      const { modifiable, ...weak } = bindingKey(0);
      const planted = cryptoki.generateKey(token.holder, 'generic', { ...weak, ...readable });
      const ofBinding = refusal(custody);
      cryptoki.destroy(token.holder, planted);
      return [ofLog, ofBinding];`,
    );
    expect(reasons).toEqual([
      expect.stringMatching(/^custody: a log key has sensitive = false/),
      expect.stringMatching(/^custody: the binding key has sensitive = false/),
    ]);
  });

  it('finds every object of a kind, however many there are', () => {
    const found = onToken(
      token,
      `
      for (let made = 0; made < 2500; made++) cryptoki.generateKey(token.holder, 'aes', newbornVersion('AES_256'));
      return token.find({ class: 4, token: false }).length;`,
    );
    expect(found).toBe(2500);
  });

  it("does not let a root's use be changed, or its bytes leave", () => {
    const refusals = onToken(
      token,
      `
      const [root] = token.find(named('keyward/root/without-a-row'));
      const [iv, aad] = [Buffer.alloc(12), Buffer.from('aad')];
      return [
        refusal(() => cryptoki.attribute(token.holder, root, 'value')),
        refusal(() => cryptoki.wrap(token.holder, root, root)),
        refusal(() => token.operate((session) => cryptoki.seal(session, root, iv, aad, aad))),
      ];`,
    );
    expect(refusals).toEqual([
      expect.stringContaining('SENSITIVE'),
      expect.stringContaining('UNEXTRACTABLE'),
      expect.stringMatching(/CKR_/),
    ]);
  });

  it('goes on after an operation that failed between Init and result', () => {
    const lengths = onToken(
      token,
      `
      const { id, ...template } = { ...versionInUse('AES_256'), valueLen: 32, id: undefined };
      const key = cryptoki.generateKey(token.holder, 'aes', template);
      const [iv, aad] = [Buffer.alloc(12), Buffer.from('aad')];
      const seal = () => token.operate((session) => Buffer.from(cryptoki.seal(session, key, iv, aad, Buffer.from('x'))));
      const garbage = () => token.operate((session) => cryptoki.open(session, key, iv, aad, Buffer.alloc(40)));
      return [seal().length, refusal(garbage), refusal(garbage), seal().length];`,
    );
    expect(lengths).toEqual([17, expect.stringMatching(/C_Decrypt: CKR_/), expect.stringMatching(/C_Decrypt: CKR_/), 17]);
  });

  it('opens no session for a bad ciphertext, and another one when an operation stayed active', () => {
    const found = onToken(
      token,
      `
      const key = cryptoki.generateKey(token.holder, 'aes', newbornVersion('AES_256'));
      const [iv, aad] = [Buffer.alloc(12), Buffer.from('aad')];
      const seal = () => token.operate((session) => Buffer.from(cryptoki.seal(session, key, iv, aad, Buffer.from('x')))).length;
      let opened = 0;
      const open = cryptoki.openSession.bind(cryptoki);
      cryptoki.openSession = (...args) => (opened++, open(...args));
      for (let i = 0; i < 50; i++) refusal(() => token.operate((session) => cryptoki.open(session, key, iv, aad, Buffer.alloc(40, i))));
      const afterGarbage = opened;
      const mechanism = { mechanism: pkcs11js.CKM_AES_GCM, parameter: { type: pkcs11js.CK_PARAMS_AES_GCM_v240, iv, ivBits: 96, aad, tagBits: 128 } };
      const stays = refusal(() => token.operate((session) => {
        raw.C_DecryptInit(session, mechanism, key);
        throw new CryptokiError('C_Decrypt', 0x40, 'CKR_ENCRYPTED_DATA_INVALID');
      }));
      return { afterGarbage, stays, sealed: seal(), opened };`,
    );
    expect(found).toEqual({ afterGarbage: 0, stays: expect.stringContaining('ENCRYPTED_DATA_INVALID'), sealed: 17, opened: 1 });
  });
});
