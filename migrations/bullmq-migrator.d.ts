/** The file that has BullMQ's migrations and not all of BullMQ, which would be loaded with every schema. */
declare module 'bullmq/dist/cjs/postgres/migrator.js' {
  export { runMigrations } from 'bullmq';
}
