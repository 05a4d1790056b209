/** What the demo tells, on stdout: numbered steps with the lines that belong to them. */
export const narrate = {
  step(number: number, title: string): void {
    say(`\n${number}. ${title}`);
  },
  /** Something that happened, with the real identifiers. */
  line(text: string): void {
    say(`   ${text}`);
  },
  /** Something that was checked and is as it should be. */
  checked(text: string): void {
    say(`   ✓ ${text}`);
  },
  plain: say,
};

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

export const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(1)} s`;
export const milliseconds = (value: number): string => `${value.toFixed(value < 10 ? 1 : 0)} ms`;
export const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
export const rate = (bytes: number, ms: number): string => `${(bytes / 1e3 / ms).toFixed(0)} MB/s`;
