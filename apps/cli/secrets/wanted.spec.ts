import { FILE, VARIABLE, wantedAs } from './wanted.js';

describe('a secret on a command line', () => {
  const variable = wantedAs(VARIABLE);
  const file = wantedAs(FILE);

  it.each([
    ['app', 'app', undefined, 'APP', 'app'],
    ['db/app-password', 'db/app-password', undefined, 'APP_PASSWORD', 'app-password'],
    ['db/app#user.name', 'db/app', 'user.name', 'APP_USER_NAME', 'app.user.name'],
    ['db/2fa', 'db/2fa', undefined, '_2FA', '2fa'],
    ['db/app=X', 'db/app', undefined, 'X', 'X'],
    ['a=b=X', 'a=b', undefined, 'X', 'X'],
  ])('%s', (text, secretId, field, asVariable, asFile) => {
    expect(variable(text)).toEqual([{ secretId, field, to: asVariable }]);
    expect(file(text)).toEqual([{ secretId, field, to: asFile }]);
  });

  it.each(['', '#x', 'app#', 'a b', 'app=', 'app=a b', 'app=../x', 'app=a/b', 'app=.hidden', 'a'.repeat(193)])('is not %j', (text) => {
    for (const wanted of [variable, file]) expect(() => wanted(text)).toThrow(/It must be|cannot be its place/);
  });

  it('goes to no place that another has', () => {
    expect(() => variable('b/app', variable('a/app'))).toThrow('APP is given twice.');
    expect(variable('b/app=B', variable('a/app')).map(({ to }) => to)).toEqual(['APP', 'B']);
  });
});
