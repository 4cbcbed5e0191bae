/** Of what the processes say, only what went wrong is for the person at the terminal. */
export function troubles(line: string): void {
  if (!line.startsWith('{') || /"level":"(warn|error|fatal)"/.test(line)) process.stderr.write(`${line}\n`);
}
