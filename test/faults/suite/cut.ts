/** Text of a compiled module of the product, and what stands there instead (sabotage.ts). */
export interface Cut {
  /** Below `dist/`. */
  readonly module: string;
  readonly find: string;
  readonly put: string;
}
