import { InvalidRequest } from '#core';

/** The self-test found that this HSM cannot do it: its capabilities say why. */
export class NotCapable extends InvalidRequest {
  constructor() {
    super([{ field: 'algorithm', message: 'the HSM cannot do it: see the capabilities' }]);
  }
}
