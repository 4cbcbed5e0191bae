/** How a command ends. Those from 64 on are the usual ones of sysexits.h. */
export const exitCodes = {
  done: 0,
  /** It was refused, is not there, or a check failed. */
  no: 1,
  usage: 64,
  /** Redis or Tavus cannot be reached. */
  unavailable: 69,
  config: 78,
} as const;
