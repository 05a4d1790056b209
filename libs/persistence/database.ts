import { DataSource } from 'typeorm';
import { type DatabaseSettings, connectionOptions, sqlState } from './connection.js';
import { ENTITIES } from './entities.js';

/**
 * Opens a pool of at most `poolSize` connections behind TypeORM. The role in the URL decides what they may do.
 * @throws the driver's error when the database is not there
 */
export async function openDatabase(settings: DatabaseSettings, poolSize: number): Promise<DataSource> {
  const source = new DataSource({
    type: 'postgres',
    url: settings.url,
    schema: 'keyward',
    entities: ENTITIES,
    synchronize: false,
    // Statements and parameters hold row values.
    logging: false,
    poolSize,
    poolErrorHandler: (error: unknown) => settings.onConnectionError?.(sqlState(error) ?? 'connection'),
    installExtensions: false,
    extra: connectionOptions(settings),
  });
  return await source.initialize();
}
