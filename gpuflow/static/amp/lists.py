"""The lists of ops as Paddle's static mode hands them around; what is on them is said in gpuflow/amp/lists.py."""
from gpuflow.amp import lists
from gpuflow.amp.auto_cast import known_names, policy_for

WHERE = "AutoMixedPrecisionLists"


class AutoMixedPrecisionLists:
    """A user's own lists beside the usual ones.

    custom_white_list, custom_black_list: names of ops that compute in the low type or in float32 in any case.
    custom_black_varnames: names of Variables; ops that read or compute one of them compute in float32.
    dtype: "float16" or "bfloat16". white_list, black_list, gray_list: all that result, at level O1.
    """

    def __init__(self, custom_white_list=None, custom_black_list=None, custom_black_varnames=None, dtype="float16"):
        policy_for(WHERE, True, custom_white_list, custom_black_list, "O1", dtype, True)    # refuses what means nothing
        self.amp_dtype = dtype
        self._custom_white_list, self._custom_black_list = set(custom_white_list or ()), set(custom_black_list or ())
        self.black_varnames = set(custom_black_varnames or ())
        self.white_list = (lists.white_list()[dtype]["O1"] | self._custom_white_list) - self._custom_black_list
        self.black_list = (lists.black_list()[dtype]["O1"] | self._custom_black_list) - self._custom_white_list
        self.all_list = known_names()
        self.gray_list = self.all_list - self.white_list - self.black_list
        self.unsupported_list = set(self._custom_black_list)

    def policy(self, level: str, dtype: str, use_promote: bool):
        """The casting policy of these lists; None at level O0."""
        return policy_for(WHERE, True, self._custom_white_list, self._custom_black_list, level, dtype, use_promote)


CustomOpLists = AutoMixedPrecisionLists
