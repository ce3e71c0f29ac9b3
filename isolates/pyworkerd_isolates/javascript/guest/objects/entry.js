// What only an engine with storage has.

import { Database } from "pyworkerd:objects/database";
import { become, DurableInstance } from "pyworkerd:objects/object";
import { makeState } from "pyworkerd:objects/state";
import { setMaker } from "pyworkerd:system/objects";
import { ownId } from "pyworkerd:workers/durable";

setMaker((className, id, pages, alarm, most, name) => {
  const database = new Database(pages, alarm, most);
  const object = new DurableInstance(className, database);
  object.state = makeState(ownId(id, name), database);
  become(object);
  return object;
});
