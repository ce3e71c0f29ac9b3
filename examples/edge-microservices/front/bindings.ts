export const authService = new ServiceBinding("auth");
export const headerService = new ServiceBinding("header");
export const offersService = new ServiceBinding("offers");
