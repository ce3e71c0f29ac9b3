// The module "node:stream/promises".

import { whenPiped as pipeline } from "pyworkerd:node_parts/pipeline";
import { whenFinished as finished } from "pyworkerd:node_parts/stream_end";

export { finished, pipeline };
export default { finished, pipeline };
