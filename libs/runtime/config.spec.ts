import { ConfigurationError, inheritedEnvironment, loadConfig, loadProvisioningConfig } from './config.js';

describe('loadConfig', () => {
  it('listens on loopback by default, each process on a port of its own', () => {
    expect(loadConfig('key-plane', {}).listen).toEqual({ host: '127.0.0.1', port: 7710 });
    expect(loadConfig('data-plane', {}).listen).toEqual({ host: '127.0.0.1', port: 7720 });
    expect(loadConfig('auditor', {}).listen).toEqual({ host: '127.0.0.1', port: 7730 });
    expect(loadConfig('worker', {}).listen).toEqual({ host: '127.0.0.1', port: 7740 });
  });

  it('reads an IPv6 address in brackets', () => {
    expect(loadConfig('auditor', { KEYWARD_LISTEN: '[::1]:9000' }).listen).toEqual({ host: '::1', port: 9000 });
  });

  it.each([
    ['0.0.0.0:7710', {}],
    ['[::]:7710', {}],
    ['keys.example.com:7710', {}],
    ['127.0.0.1.example.com:7710', {}],
  ])('refuses to listen on %s without TLS', (listen) => {
    expect(() => loadConfig('key-plane', { KEYWARD_LISTEN: listen })).toThrow(/KEYWARD_LISTEN is beyond loopback/);
  });

  it.each([[{ KEYWARD_TLS: 'proxy' }], [{ KEYWARD_TLS_CERT_FILE: '/c.pem', KEYWARD_TLS_KEY_FILE: '/k.pem' }]])(
    'listens anywhere with %j',
    (tls) => {
      expect(loadConfig('key-plane', { KEYWARD_LISTEN: '0.0.0.0:7710', ...tls }).listen.host).toBe('0.0.0.0');
    },
  );

  it.each([
    ['KEYWARD_TLS_KEY_FILE', { KEYWARD_TLS_CERT_FILE: '/c.pem' }],
    ['KEYWARD_LISTEN', { KEYWARD_LISTEN: 'nonsense' }],
    ['KEYWARD_LISTEN', { KEYWARD_LISTEN: '127.0.0.1:70000' }],
    ['KEYWARD_SOCKET_DIR', { KEYWARD_SOCKET_DIR: `/${'x'.repeat(100)}` }],
    ['KEYWARD_DATABASE_URL', { KEYWARD_DATABASE_URL: 'mysql://localhost/x' }],
    ['KEYWARD_TLS', { KEYWARD_TLS: 'yes' }],
    ['REDIS_URL', { REDIS_URL: 'http://127.0.0.1:6379' }],
    ['REDIS_URL', { REDIS_URL: 'rediss://redis.example.com?rejectUnauthorized=false' }],
    ['REDIS_URL', { REDIS_URL: 'redis://redis.example.com:6379' }],
  ])('names %s when it is wrong', (variable, environment) => {
    expect(() => loadConfig('data-plane', environment)).toThrow(new RegExp(`^${variable}`));
  });

  it.each([
    'postgres://u:p@db.example.com/keyward',
    'postgres://u:p@db.example.com/keyward?sslmode=require',
    'postgres://u:p@localhost/keyward?host=db.example.com',
  ])('refuses an unprotected database: %s', (url) => {
    expect(() => loadConfig('auditor', { KEYWARD_DATABASE_URL: url })).toThrow(ConfigurationError);
  });

  it.each([
    'postgres://u:p@127.0.0.1:5432/keyward',
    'postgres://u:p@[::1]/keyward',
    'postgresql://u:p@db.example.com/k?sslmode=verify-full',
  ])('accepts %s', (url) => {
    expect(loadConfig('auditor', { KEYWARD_DATABASE_URL: url }).databaseUrl).toBe(url);
  });

  it.each(['redis://:p@127.0.0.1:6379/0', 'rediss://u:p@redis.example.com:6380'])('accepts the queue %s', (url) => {
    expect(loadConfig('worker', { REDIS_URL: url }).redisUrl).toBe(url);
  });

  it('never repeats a value: it may hold a password', () => {
    const broken = () => loadConfig('auditor', { KEYWARD_DATABASE_URL: 'postgres://u:hunter2@db.example.com/k' });
    expect(broken).toThrow(ConfigurationError);
    expect(broken).not.toThrow(/hunter2/);
  });
});

it('reads the settings of provisioning, and names what is missing', () => {
  const environment = { KEYWARD_SUPERUSER_URL: 'postgres://postgres:p@127.0.0.1/postgres', KEYWARD_ROLE_PASSWORDS_FILE: '/p.json' };
  expect(loadProvisioningConfig(environment).passwordsFile).toBe('/p.json');
  expect(() => loadProvisioningConfig({ ...environment, KEYWARD_ROLE_PASSWORDS_FILE: undefined })).toThrow(/^KEYWARD_ROLE_PASSWORDS_FILE/);
});

it('hands down only harmless variables to child processes', () => {
  expect(inheritedEnvironment({ PATH: '/bin', KEYWARD_DATABASE_URL: 'postgres://secret', AWS_SECRET_ACCESS_KEY: 'x' })).toEqual({
    PATH: '/bin',
  });
});
