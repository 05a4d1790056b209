import type { DataOperation, SecretUse, ServiceOperation } from '#contract';
import {
  type Answered,
  type AnsweredBatch,
  type BatchItem,
  type Call,
  type Handlers,
  type InputOf,
  Pipeline,
  type PipelineParts,
} from '#core';

type PlaneOperation = DataOperation | SecretUse | ServiceOperation;

/** The pipeline; keeps `calls.inFlight` at the number of calls that are in it now, by which the appender sizes its batches. */
export class CountedPipeline extends Pipeline<PlaneOperation> {
  constructor(
    parts: PipelineParts,
    handlers: Handlers<PlaneOperation>,
    private readonly calls: { inFlight: number },
  ) {
    super(parts, handlers);
  }

  override run<Operation extends PlaneOperation>(
    operation: Operation,
    call: Call,
    input: InputOf<Operation>,
  ): Promise<Answered<Operation>> {
    return this.#counted(() => super.run(operation, call, input));
  }

  override runBatch<Operation extends PlaneOperation>(
    operation: Operation,
    call: Call,
    items: readonly BatchItem<Operation>[],
  ): Promise<AnsweredBatch<Operation>> {
    return this.#counted(() => super.runBatch(operation, call, items));
  }

  async #counted<Answer>(work: () => Promise<Answer>): Promise<Answer> {
    this.calls.inFlight++;
    try {
      return await work();
    } finally {
      this.calls.inFlight--;
    }
  }
}
