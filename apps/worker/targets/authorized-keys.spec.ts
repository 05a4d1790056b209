import fc from 'fast-check';
import { hasKey, withKey, withoutKey } from './authorized-keys.js';

const CURRENT = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9current old';
const NEXT = 'ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQDnext== keyward-v2';
const OTHER = 'ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYother= somebody else';

describe('authorized_keys', () => {
  it.each([
    ['no options', '', CURRENT],
    ['an option', 'restrict ', CURRENT],
    ['options with blanks and quotes in quotes', String.raw`command="echo \"a key: ssh-rsa AAAA\"",from="10.0.0.0/8,::1" `, CURRENT],
    ['a blank before it', '  ', CURRENT],
  ])('gets the next key behind the current one, with %s as it has', (_, options, current) => {
    const text = `# the shop's\n${options}${current}\n${OTHER}\n`;
    expect(withKey(text, CURRENT, NEXT)).toBe(`# the shop's\n${options}${current}\n${options}${NEXT}\n${OTHER}\n`);
  });

  it('gets it where the last line has no end', () => {
    expect(withKey(CURRENT, CURRENT, NEXT)).toBe(`${CURRENT}\n${NEXT}\n`);
  });

  it('has a key whatever stands behind it, and not in a comment or as a part of another', () => {
    const [type, key] = CURRENT.split(' ');
    expect(hasKey(`${type} ${key}\r\n`, CURRENT)).toBe(true);
    expect(hasKey(`# ${CURRENT}`, CURRENT)).toBe(false);
    expect(hasKey(`${type} ${key}AAAA`, CURRENT)).toBe(false);
    expect(hasKey(`command="${CURRENT}" ${OTHER}`, CURRENT)).toBe(false);
  });

  it('is refused where nobody knows what the next key may do', () => {
    expect(() => withKey(`${OTHER}\n`, CURRENT, NEXT)).toThrow('the current key is not in authorized_keys');
    expect(withKey(`${NEXT}\n`, CURRENT, NEXT)).toBe(`${NEXT}\n`);
  });

  it('is as it was after a key came and went, whatever else is in it', () => {
    const line = fc.oneof(fc.string(), fc.constantFrom(OTHER, `no-pty ${OTHER}`, '', '# a comment', '"', 'command="'));
    fc.assert(
      fc.property(fc.array(line), fc.array(line), fc.constantFrom('', 'restrict,command="a b" '), (before, behind, options) => {
        const text = [...before, `${options}${CURRENT}`, ...behind, ''].join('\n');
        const both = withKey(text, CURRENT, NEXT);
        expect(withKey(both, CURRENT, NEXT)).toBe(both);
        expect([hasKey(both, CURRENT), hasKey(both, NEXT)]).toEqual([true, true]);
        expect(withoutKey(both, NEXT)).toBe(text);
        expect(hasKey(withoutKey(both, CURRENT), NEXT)).toBe(true);
      }),
    );
  });
});
