#!/usr/bin/env node
/** The `keyward` command: the CLI on the pinned Node. Unlike the npm scripts it never installs anything. */
import { main } from './run.mjs';

await main(['cli', ...process.argv.slice(2)], { install: false });
