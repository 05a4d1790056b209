import { InvalidRequest, KeywardError, StaleSnapshot } from '#core';
import { sqlState } from './connection.js';

/**
 * What a driver's error becomes: its text, detail and parameters hold row values and stay here; only the SQLSTATE goes into `reason`.
 * There is no `cause` for the same reason.
 */
export function databaseUnavailable(error: unknown): KeywardError {
  return new KeywardError('unavailable', '', { reason: `database: ${sqlState(error) ?? 'connection lost'}` });
}

/** Runs a read. @throws KeywardError unavailable for any driver's error */
export async function reading<Answer>(work: () => Promise<Answer>): Promise<Answer> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof KeywardError) throw error;
    throw databaseUnavailable(error);
  }
}

/**
 * Runs a write that names what it makes.
 * @throws KeywardError already-exists, not-found, invalid-request, unavailable; StaleSnapshot when somebody else's change came first
 */
export async function writing<Answer>(thing: string, work: () => Promise<Answer>): Promise<Answer> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof KeywardError || error instanceof StaleSnapshot) throw error;
    switch (sqlState(error)) {
      case '23505':
        throw new KeywardError('already-exists', `${thing} exists already.`);
      case '23503':
        throw new KeywardError('not-found', `What ${thing} refers to does not exist.`);
      case '22021':
        throw new InvalidRequest([{ field: thing, message: 'must not contain U+0000' }]);
      // A state that does not follow from the row as it is now; or both waited for each other's rows.
      case '23514':
      case '40P01':
        throw new StaleSnapshot();
      default:
        throw databaseUnavailable(error);
    }
  }
}
