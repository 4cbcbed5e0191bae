/**
 * A clock inside the picture: the simulator's avatar draws the time, a frame number and its mouth so that a program can
 * read them back after any number of encoders, scalers and rooms. Pure arithmetic on relative coordinates (0…1), for
 * browsers and Node alike.
 *
 * Layout: two rows of 32 cells along the top; a cell is 1/32 wide and 1/18 high (10×10 pixels at 320x180, where VP8 still
 * keeps it apart). Row 0: the low 32 bits of the time. Row 1: 16 bits frame number, 8 bits CRC over those six bytes,
 * 8 bits of a fixed guard pattern that a picture without the clock, or shifted, does not show.
 */
export type Rect = { readonly x: number; readonly y: number; readonly width: number; readonly height: number };
export type Cell = Rect & { readonly isWhite: boolean };

/** Luma 0…255 at a relative position. */
export type LumaSampler = (x: number, y: number) => number;

export type FrameReading = {
  /** Milliseconds since 1970 at which the frame was drawn. */
  readonly timeMs: number;
  /** 0…65535, then from 0 again. */
  readonly frame: number;
  /** 0 closed … 1 wide open. */
  readonly mouth: number;
};

const COLUMNS = 32;
const ROW_HEIGHT = 1 / 18;
const GUARD = 0b1010_0110;

/** The part of the picture the clock covers. */
export const CLOCK_STRIP: Rect = { x: 0, y: 0, width: 1, height: 2 * ROW_HEIGHT };
/** The field in which the mouth opens around its middle; skin around it is lighter than 128, the open mouth darker. */
export const MOUTH_FIELD: Rect = { x: 0.42, y: 0.62, width: 0.16, height: 0.22 };
/** Luma of white and black cells, and of the open mouth (video range). */
export const LUMA = { white: 235, black: 16, mouth: 45 } as const;

/** The 64 cells of a frame. `timeMs` as of `Date.now()`. */
export function encodeFrameClock(timeMs: number, frame: number): Cell[] {
  const bytes = bytesOf(timeMs, frame);
  const bits = [...bytes, crc8(bytes), GUARD].flatMap((byte) =>
    [7, 6, 5, 4, 3, 2, 1, 0].map((bit) => ((byte >> bit) & 1) === 1),
  );
  return bits.map((isWhite, index) => ({ ...cellAt(index), isWhite }));
}

/** Where the mouth is when open by `openness` (0…1): a field around the middle, nothing when closed. */
export function mouthRect(openness: number): Rect {
  const height = MOUTH_FIELD.height * Math.min(1, Math.max(0, openness));
  return { ...MOUTH_FIELD, y: MOUTH_FIELD.y + (MOUTH_FIELD.height - height) / 2, height };
}

/**
 * Reads a frame; null when it carries no (readable) clock. `nearMs` is any time within 24 days of the drawing and supplies
 * the bits that the picture has no room for.
 */
export function decodeFrameClock(sample: LumaSampler, nearMs: number): FrameReading | null {
  const bytes: number[] = [];
  for (let index = 0; index < 64; index += 1) {
    const bit = cellLuma(sample, cellAt(index)) > (LUMA.white + LUMA.black) / 2 ? 1 : 0;
    bytes[index >> 3] = ((bytes[index >> 3] ?? 0) << 1) | bit;
  }
  const payload = bytes.slice(0, 6);
  if (bytes[7] !== GUARD || bytes[6] !== crc8(payload)) return null;
  const [t3 = 0, t2 = 0, t1 = 0, t0 = 0, f1 = 0, f0 = 0] = payload;
  const low = ((t3 << 24) | (t2 << 16) | (t1 << 8) | t0) >>> 0;
  const behind = (nearMs - low) / 2 ** 32;
  return { timeMs: low + Math.round(behind) * 2 ** 32, frame: (f1 << 8) | f0, mouth: readMouth(sample) };
}

/** Share of the mouth field's middle line that is dark, from three columns. */
export function readMouth(sample: LumaSampler): number {
  const { x, y, width, height } = MOUTH_FIELD;
  const rows = 40;
  let dark = 0;
  for (const column of [0.45, 0.5, 0.55])
    for (let row = 0; row < rows; row += 1)
      if (sample(x + width * column, y + (height * (row + 0.5)) / rows) < 100) dark += 1;
  return dark / (3 * rows);
}

function cellAt(index: number): Rect {
  return {
    x: (index % COLUMNS) / COLUMNS,
    y: Math.floor(index / COLUMNS) * ROW_HEIGHT,
    width: 1 / COLUMNS,
    height: ROW_HEIGHT,
  };
}

/** Mean of nine points in the cell's inner half: edges are where a codec smears. */
function cellLuma(sample: LumaSampler, cell: Rect): number {
  let sum = 0;
  for (const dx of [0.3, 0.5, 0.7])
    for (const dy of [0.3, 0.5, 0.7]) sum += sample(cell.x + cell.width * dx, cell.y + cell.height * dy);
  return sum / 9;
}

function bytesOf(timeMs: number, frame: number): number[] {
  const low = Math.floor(timeMs) % 2 ** 32;
  return [low >>> 24, (low >>> 16) & 255, (low >>> 8) & 255, low & 255, (frame >>> 8) & 255, frame & 255];
}

/** CRC-8 (polynomial 0x07): eight bits so that a wrong cell passes once in 256 times, not every second time as with parity. */
function crc8(bytes: readonly number[]): number {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc & 0x80 ? (crc << 1) ^ 0x07 : crc << 1) & 0xff;
  }
  return crc;
}
