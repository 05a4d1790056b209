import type { EntitySubscriberInterface, InsertEvent, LoadEvent, ObjectLiteral, UpdateEvent } from 'typeorm';
import type { RowSealing } from './row-sealing.js';

/** TypeORM waits for what these answer, of all rows of a `find` or a `save` together: so their data keys go in one request. */
export class SealingSubscriber implements EntitySubscriberInterface<ObjectLiteral> {
  constructor(private readonly rows: RowSealing) {}

  afterLoad(entity: ObjectLiteral, event?: LoadEvent<ObjectLiteral>): Promise<void> | undefined {
    return event && this.rows.loaded(event.metadata, entity);
  }

  beforeInsert({ metadata, entity, manager }: InsertEvent<ObjectLiteral | undefined>): Promise<void> | undefined {
    return entity && this.rows.seal(metadata, entity, manager);
  }

  /** By `save` the stored row comes with it, by a query builder it does not. */
  async beforeUpdate({ metadata, entity, manager, databaseEntity }: UpdateEvent<ObjectLiteral | undefined>): Promise<void> {
    if (entity === undefined) return;
    if (databaseEntity === undefined) this.rows.refuseUpdate(metadata, entity);
    else await this.rows.seal(metadata, entity, manager, databaseEntity);
  }
}
