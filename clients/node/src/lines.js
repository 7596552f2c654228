/** Lines out of a stream of bytes. However much comes in, no more than one line of it is kept. */

import { LoopkeyError } from "./errors.js";

/** Longest line in bytes, its end included: a profile with a picture, and some room (docs/protocol.md, section 8). */
export const LINE_MAX_LENGTH = 256 * 1024;

const LINE_END = 0x0a;
const NOTHING = Buffer.alloc(0);

export class Lines {
  /** The beginning of a line whose end is still to come: the first `#length` bytes. */
  #kept = NOTHING;
  #length = 0;

  /**
   * The lines that end in `chunk`, without their ends.
   * @param {Buffer} chunk
   * @returns {Generator<Buffer>}
   * @throws {LoopkeyError} `protocol`, after the lines before it, when a line is too long
   */
  *read(chunk) {
    let rest = chunk;
    for (let end = rest.indexOf(LINE_END); end >= 0; end = rest.indexOf(LINE_END)) {
      this.#keep(rest.subarray(0, end + 1));
      const line = this.#kept.subarray(0, this.#length - 1);
      this.#kept = NOTHING;
      this.#length = 0;
      rest = rest.subarray(end + 1);
      yield line;
    }
    this.#keep(rest);
  }

  #keep(part) {
    const length = this.#length + part.length;
    // A beginning that fills the limit can have no end within it.
    if (length > LINE_MAX_LENGTH || (length === LINE_MAX_LENGTH && part.at(-1) !== LINE_END)) {
      throw new LoopkeyError("protocol", `a line of the agent is longer than ${LINE_MAX_LENGTH} bytes`);
    }
    if (length > this.#kept.length) {
      // Doubled, so that a line that comes in byte by byte is not copied each time.
      const larger = Buffer.allocUnsafe(Math.min(LINE_MAX_LENGTH, length * 2));
      this.#kept.copy(larger, 0, 0, this.#length);
      this.#kept = larger;
    }
    part.copy(this.#kept, this.#length);
    this.#length = length;
  }
}
