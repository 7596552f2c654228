/** A desktop application's way to the Loopkey agent on the same computer. `index.d.ts` lists the same names. */

export { LoopkeyClient, PRESENCES } from "./client.js";
export { ERRORS, LoopkeyError } from "./errors.js";
export { controlPath } from "./path.js";
