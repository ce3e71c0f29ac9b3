import { cook } from "shop-internal:kitchen";

export class Menu {
  #recipes;

  constructor(recipes) {
    this.#recipes = recipes;
  }

  make(name) {
    return cook(this.#recipes[name]);
  }
}
