/** Messages of the AWS Encryption SDK (docs/formats.md) under data keys of one's own, where no data plane is asked. */
export { MAX_FRAME_BYTES, MESSAGE_ID_BYTES, type MessageHeader } from '../message-header.js';
export { MessageKey } from '../message-key.js';
export { OpeningStream, SealingStream } from '../message-streams.js';
