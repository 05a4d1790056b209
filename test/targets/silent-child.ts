/** In the place of the targets' process: takes its request, and does what it names instead of answering. */
const MANNERS: Readonly<Record<string, () => unknown>> = {
  hangs: () => setInterval(() => undefined, 1000),
  'is busy': () => {
    for (;;);
  },
  ends: () => process.exit(1),
  babbles: () => process.send!({ value: 'a string', more: true }),
};

process.once('message', (message) => {
  MANNERS[(message as { request: { kind: string } }).request.kind]!();
});
