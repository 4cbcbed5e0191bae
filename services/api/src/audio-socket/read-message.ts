import { InboundFrame, JsonFrame } from '@tavus-fleet/contracts';
import { parseJsonBody } from '../json-body.ts';
import { InvalidRequest } from '../problem.ts';

/** How binary messages are to be read. */
export type PcmFormat = { readonly rate: number; readonly channels: number };

/** A frame out of its JSON form, audio as base64. Throws `InvalidRequest` naming every wrong field. */
export function frameOf(json: JsonFrame): InboundFrame {
  const candidate =
    json.type === 'tts-audio' ? { ...json, audio: new Uint8Array(Buffer.from(json.audio, 'base64')) } : json;
  const parsed = InboundFrame.safeParse(candidate);
  if (!parsed.success) throw InvalidRequest.of(parsed.error, 'body');
  return parsed.data;
}

/** The frame that a WebSocket message is: binary is s16le PCM of the connection's format, text a JSON frame. Throws `InvalidRequest`, or `invalid-json`. */
export function readMessage(bytes: Buffer, binary: boolean, { rate, channels }: PcmFormat): InboundFrame {
  if (binary) {
    const parsed = InboundFrame.safeParse({ type: 'tts-audio', rate, channels, audio: new Uint8Array(bytes) });
    if (!parsed.success) throw InvalidRequest.of(parsed.error, 'message');
    return parsed.data;
  }
  const parsed = JsonFrame.safeParse(parseJsonBody(bytes.toString()));
  if (!parsed.success) throw InvalidRequest.of(parsed.error, 'message');
  return frameOf(parsed.data);
}
