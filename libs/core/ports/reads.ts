import type {
  CredentialSummary,
  KeyDescription,
  ListRecordsQuery,
  PageQuery,
  RecordsAnswer,
  ServiceName,
  ServiceSummary,
  StopAnswer,
  TenantId,
  TenantSummary,
} from '#contract';

export interface Page<Item> {
  readonly items: Item[];
  readonly nextCursor?: string;
}

/** Lists for people. Row-level security holds them to the tenant; ordered by id, oldest first. @throws InvalidRequest for a foreign cursor */
export interface Reads {
  tenants(query: PageQuery): Promise<Page<TenantSummary>>;
  tenantExists(tenant: TenantId): Promise<boolean>;
  services(query: PageQuery): Promise<Page<ServiceSummary>>;
  serviceExists(service: ServiceName): Promise<boolean>;
  /** With `service` only that service's, which live in `platform`. */
  credentials(tenant: TenantId, query: PageQuery, service?: string): Promise<Page<CredentialSummary>>;
  keys(tenant: TenantId, query: PageQuery): Promise<Page<KeyDescription>>;
  stops(tenant: TenantId, query: PageQuery): Promise<Page<StopAnswer>>;
}

/** A log, as its auditor sees it: read-only, under row-level security, no lock that an append would wait for. */
export interface AuditReads {
  records(tenant: TenantId, query: ListRecordsQuery): Promise<RecordsAnswer>;
  /** The newest signed checkpoint, undefined while the log has none. */
  checkpoint(tenant: TenantId): Promise<{ readonly note: string; readonly size: bigint } | undefined>;
  /** Stored bytes and stored leaf hashes of records [0, size), in pages. */
  entries(tenant: TenantId, size: bigint): AsyncIterable<{ readonly bytes: Uint8Array; readonly leafHash: Uint8Array }>;
}
