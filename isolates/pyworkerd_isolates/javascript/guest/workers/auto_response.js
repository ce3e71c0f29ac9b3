// What `ctx.setWebSocketAutoResponse()` is given: a message that is answered without a handler, and the answer.

export class WebSocketRequestResponsePair {
  #request;
  #response;

  constructor(request, response) {
    this.#request = `${request}`;
    this.#response = `${response}`;
  }

  get request() { return this.#request; }
  get response() { return this.#response; }
}
