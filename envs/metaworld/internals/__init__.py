"""Metaworld from the inside: what makes its environments fast, and relies on more of it than it promises.

A stock step takes two to four times as long as its physics, a stock reset 500 steps of physics, and a stock environment
25 MB. Everything here is about that and changes no bit of what comes out; nothing outside of this folder reaches into
metaworld or MuJoCo further than their documentation does.

file              does                                               relies, in metaworld 3.1.1 and MuJoCo 3.3.0, on
episode_start.py  keeps what a reset leaves, so that each goal is     a reset depending on its goal alone, and writing
                  reset to once                                       into the model body_pos and site_pos only;
                                                                      `_reset_hand` being all that simulates in it
light_env.py      a task's environment on a model shared with         `step` being: pull the hand, five physics steps,
                  others, whose step does only what decides its       `mj_forward`, `_get_obs`, clip, `evaluate_state`;
                  outcome                                             Gymnasium's `_initialize_simulation`
named.py          bodies and sites by name, looked up once            MuJoCo's arrays staying where they are
cheap_task.py     a second copy of a task's module, with cheaper      rewards finding `np`, `reward_utils`, `Rotation`
                  helpers in scope                                    among their module's names
small_math.py     those helpers: norms, tolerances, quaternions       the order in which they compute
memory.py         gives back what only building and drawing need      the names of the arrays that physics does not read

When one of these changes upstream, numbers differ. What tells: `tests/envs/test_env_bit_equal.py` steps every task
beside stock metaworld and compares bits (`-m slow`: whole episodes, both rewards); `test_env_episode_start.py` compares
every attribute and array after a reset; `test_env_small_math.py` and `test_env_memory.py` the helpers and the arrays;
`python -m scripts.check_fidelity` the whole backend. The remedy is to mend the file, or to do without: a stock
environment in place of `light_env`, its own `reset` in place of `capture`.
"""
