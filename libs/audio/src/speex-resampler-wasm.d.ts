/** The package ships no types; these are the parts of its Emscripten module that we call. Pointers are byte offsets into the heap. */
declare module '@echogarden/speex-resampler-wasm/simd' {
  export type SpeexModule = {
    /** Replaced whenever the heap grows: read it anew after every call. */
    readonly HEAPF32: Float32Array;
    readonly HEAPU32: Uint32Array;
    _malloc(bytes: number): number;
    _speex_resampler_init(
      channels: number,
      fromHz: number,
      toHz: number,
      quality: number,
      errorPointer: number,
    ): number;
    _speex_resampler_destroy(state: number): void;
    _speex_resampler_skip_zeros(state: number): number;
    /** Reads `*inLength` floats, writes at most `*outLength`; both are set to what was used. Answers 0 or an error number. */
    _speex_resampler_process_float(
      state: number,
      channel: number,
      input: number,
      inLength: number,
      output: number,
      outLength: number,
    ): number;
  };
  export default function load(): Promise<SpeexModule>;
}
