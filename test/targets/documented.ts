import { readFileSync } from 'node:fs';
import { checkoutPath } from '#runtime';

/** What docs/secret-rotation-targets.md tells of a target: what to run there first, its connection secret, and a value. */
export function documented(kind: string) {
  const page = readFileSync(checkoutPath('docs', 'secret-rotation-targets.md'), 'utf8');
  const section = page.split(`\n## \`${kind}\`\n`)[1]!.split('\n## ')[0]!;
  const blocks = [...section.matchAll(/```(\w+)\n([\s\S]*?)```/g)].map(([, language, text]) => ({ language, text: text! }));
  const [connection, value] = blocks
    .filter(({ language }) => language === 'json')
    .map(({ text }) => JSON.parse(text) as Record<string, unknown>);
  const commands = blocks
    .find(({ language }) => language !== 'json')!
    .text.trim()
    .split('\n');
  return { commands, connection: connection!, value: value! };
}
