"""The Cache API: what a worker keeps of answers, each worker for itself.

`rules` says what may be kept and for how long, `answers` what a request gets of it; neither does I/O. `store` is what a
provider promises, `sqlite` and `memory` are two. `capability` is what a worker's isolates ask.
"""
