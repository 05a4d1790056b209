import type { DataOperation } from '#contract';
import { type Answered, type Call, type Handlers, type InputOf, Pipeline, type PipelineParts } from '#core';

/** The pipeline; keeps `calls.inFlight` at the number of calls that are in it now, by which the appender sizes its batches. */
export class CountedPipeline extends Pipeline<DataOperation> {
  constructor(
    parts: PipelineParts,
    handlers: Handlers<DataOperation>,
    private readonly calls: { inFlight: number },
  ) {
    super(parts, handlers);
  }

  override async run<Operation extends DataOperation>(
    operation: Operation,
    call: Call,
    input: InputOf<Operation>,
  ): Promise<Answered<Operation>> {
    this.calls.inFlight++;
    try {
      return await super.run(operation, call, input);
    } finally {
      this.calls.inFlight--;
    }
  }
}
