/** Importing this defines `<loopkey-card>`. */

import type { LoopkeyCardElement } from "./loopkey.js";

export type { LoopkeyCardElement };
