import pg from 'pg';

/** A superuser's session that may wait: nobody else's locks hang on it. @throws Error of the server, or of the way to it */
export async function asBackupSuperuser<Answer>(url: string, work: (client: pg.Client) => Promise<Answer>): Promise<Answer> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'keyward backup',
    options: '-c idle_in_transaction_session_timeout=0 -c statement_timeout=0 -c lock_timeout=0',
  });
  // Told by the query that runs.
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
