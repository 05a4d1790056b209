import { DataSource } from 'typeorm';
import { type DatabaseSettings, connectionOptions, type RESERVED, sqlState } from './connection.js';
import { ENTITIES } from './entities.js';

/**
 * Opens a pool of at most `size` connections behind TypeORM. The role in the URL decides what they may do.
 * @throws the driver's error when the database is not there
 */
export async function openDatabase(settings: DatabaseSettings, size: number | typeof RESERVED): Promise<DataSource> {
  const { max, ...kept } = typeof size === 'number' ? { max: size } : size;
  const source = new DataSource({
    type: 'postgres',
    url: settings.url,
    schema: 'keyward',
    entities: ENTITIES,
    synchronize: false,
    // Statements and parameters hold row values.
    logging: false,
    poolSize: max,
    poolErrorHandler: (error: unknown) => settings.onConnectionError?.(sqlState(error) ?? 'connection'),
    installExtensions: false,
    extra: { ...connectionOptions(settings), ...kept },
  });
  return await source.initialize();
}
