import type { Command } from 'commander';
import { DISCLOSURE_NAMES, disclosureName } from '#contract';
import { UsageError } from '../exit-codes.js';
import type { OpenSession } from '../session.js';
import { listed, wholeNumber } from './options.js';

interface EraseOptions {
  readonly fromSeq?: number;
  readonly toSeq?: number;
  readonly principal?: string;
  readonly fields?: readonly string[];
}

/** For admins: what the log knows of persons can be erased, and every proof still holds. */
export function privacyCommands(program: Command, open: OpenSession): void {
  program
    .command('privacy')
    .description('personal fields of records (admins)')
    .command('erase')
    .description('erase values and salts for good; the records stay as they are')
    .option('--from-seq <n>', 'of this record and later ones', wholeNumber(0))
    .option('--to-seq <n>', 'of records before this one (default: all until now)', wholeNumber(1))
    .option('--principal <name>', 'only of this person or service; needed where --to-seq is not given')
    .option('--fields <names>', `only these, by commas: ${DISCLOSURE_NAMES.join(', ')}`, listed)
    .addHelpText('after', '\nExample:\n  keyward privacy erase --principal otto --fields userName,sourceIp --credentials anna.json\n')
    .action(async ({ fields, ...range }: EraseOptions, command: Command) => {
      const session = open(command);
      const names = fields?.map((name) => {
        const known = disclosureName.safeParse(name);
        if (!known.success) throw new UsageError(`${name} is no field: ${DISCLOSURE_NAMES.join(', ')}.`);
        return known.data;
      });
      const erasure = await session.admin.erasePersonalFields(session.tenant, { ...range, ...(names && { fields: names }) });
      session.answer(erasure, `erased ${erasure.erased} values of ${erasure.fields.join(', ')}`);
    });
}
