import { secretId } from '#contract';
import type { Session } from '../session.js';

/** The id that paths need, of a secret that is named by its id or its name. */
export async function idOf(session: Session, reference: string): Promise<string> {
  if (secretId.safeParse(reference).success) return reference;
  return (await session.admin.secrets.describe(session.tenant, reference)).secretId;
}
