"""Loss layers: each is its function with settings, or with weights of its own."""
from gpuflow.errors import explain
from gpuflow.functional.manipulation import concat
from gpuflow.functional.search import argmax
from gpuflow.nn import functional as F
from gpuflow.nn.layer import Layer
from gpuflow.nn.made import made
from gpuflow.ops.loss import REDUCTIONS

__all__ = ["AdaptiveLogSoftmaxWithLoss", "BCELoss", "BCEWithLogitsLoss", "CTCLoss", "CosineEmbeddingLoss",
           "CrossEntropyLoss", "GaussianNLLLoss", "HSigmoidLoss", "HingeEmbeddingLoss", "KLDivLoss", "L1Loss",
           "MSELoss", "MarginRankingLoss", "MultiLabelMarginLoss", "MultiLabelSoftMarginLoss", "MultiMarginLoss",
           "NLLLoss", "PoissonNLLLoss", "RNNTLoss", "SmoothL1Loss", "SoftMarginLoss", "TripletMarginLoss",
           "TripletMarginWithDistanceLoss"]


def _loss(name, function, inputs="input, label", reductions=REDUCTIONS, **settings):
    return made(name, function, settings, inputs, prefix="", shown=False, among={"reduction": reductions},
                module=__name__)


BCELoss = _loss("BCELoss", F.binary_cross_entropy, weight=None, reduction="mean")
BCEWithLogitsLoss = _loss("BCEWithLogitsLoss", F.binary_cross_entropy_with_logits, "logit, label", weight=None,
                          reduction="mean", pos_weight=None)
CosineEmbeddingLoss = _loss("CosineEmbeddingLoss", F.cosine_embedding_loss, "input1, input2, label", margin=0,
                            reduction="mean")
CrossEntropyLoss = _loss("CrossEntropyLoss", F.cross_entropy, weight=None, ignore_index=-100, reduction="mean",
                         soft_label=False, axis=-1, use_softmax=True, label_smoothing=0.0)
GaussianNLLLoss = _loss("GaussianNLLLoss", F.gaussian_nll_loss, "input, label, variance", full=False, epsilon=1e-6,
                        reduction="mean")
HingeEmbeddingLoss = _loss("HingeEmbeddingLoss", F.hinge_embedding_loss, margin=1.0, reduction="mean")
KLDivLoss = _loss("KLDivLoss", F.kl_div, reductions=(*REDUCTIONS, "batchmean"), reduction="mean", log_target=False)
L1Loss = _loss("L1Loss", F.l1_loss, reduction="mean")
MSELoss = _loss("MSELoss", F.mse_loss, reduction="mean")
MarginRankingLoss = _loss("MarginRankingLoss", F.margin_ranking_loss, "input, other, label", margin=0.0,
                          reduction="mean")
MultiLabelSoftMarginLoss = _loss("MultiLabelSoftMarginLoss", F.multi_label_soft_margin_loss, weight=None,
                                 reduction="mean")
MultiLabelMarginLoss = _loss("MultiLabelMarginLoss", F.multi_label_margin_loss, reduction="mean")
MultiMarginLoss = _loss("MultiMarginLoss", F.multi_margin_loss, p=1, margin=1.0, weight=None, reduction="mean")
NLLLoss = _loss("NLLLoss", F.nll_loss, weight=None, ignore_index=-100, reduction="mean")
PoissonNLLLoss = _loss("PoissonNLLLoss", F.poisson_nll_loss, log_input=True, full=False, epsilon=1e-8,
                       reduction="mean")
SmoothL1Loss = _loss("SmoothL1Loss", F.smooth_l1_loss, reduction="mean", delta=1.0, is_huber=True)
SoftMarginLoss = _loss("SoftMarginLoss", F.soft_margin_loss, reduction="mean")
TripletMarginLoss = _loss("TripletMarginLoss", F.triplet_margin_loss, "input, positive, negative", margin=1.0, p=2.0,
                          epsilon=1e-6, swap=False, reduction="mean")
TripletMarginWithDistanceLoss = _loss("TripletMarginWithDistanceLoss", F.triplet_margin_with_distance_loss,
                                      "input, positive, negative", distance_function=None, margin=1.0, swap=False,
                                      reduction="mean")


class CTCLoss(Layer):
    """`functional.ctc_loss` as a layer: logits [T, N, classes], labels [N, L] and the lengths of both."""

    def __init__(self, blank=0, reduction="mean", zero_infinity=False):
        super().__init__()
        self.blank, self.reduction, self.zero_infinity = blank, reduction, zero_infinity

    def forward(self, log_probs, labels, input_lengths, label_lengths, norm_by_times=False):
        return F.ctc_loss(log_probs, labels, input_lengths, label_lengths, self.blank, self.reduction, norm_by_times,
                          self.zero_infinity)


class RNNTLoss(Layer):
    """`functional.rnnt_loss` as a layer: logits [B, T, U + 1, classes], labels [B, U] and the lengths of both."""

    def __init__(self, blank=0, fastemit_lambda=0.001, reduction="mean", name=None):
        super().__init__()
        self.blank, self.fastemit_lambda, self.reduction, self.name = blank, fastemit_lambda, reduction, name

    def forward(self, input, label, input_lengths, label_lengths):
        return F.rnnt_loss(input, label, input_lengths, label_lengths, self.blank, self.fastemit_lambda,
                           self.reduction)


class HSigmoidLoss(Layer):
    """`functional.hsigmoid_loss` with its weight [num_classes - 1, feature_size] and bias.

    is_custom: forward is given each row's path, and num_classes is the number of nodes.
    """

    def __init__(self, feature_size, num_classes, weight_attr=None, bias_attr=None, is_custom=False, is_sparse=False,
                 name=None):
        super().__init__()
        if num_classes < 2 and not is_custom:
            raise ValueError(explain("HSigmoidLoss", "num_classes of at least 2", str(num_classes)))
        nodes = num_classes if is_custom else num_classes - 1
        self._num_classes, self._is_custom, self._is_sparse, self._name = num_classes, is_custom, is_sparse, name
        self.weight = self.create_parameter([nodes, feature_size], weight_attr)
        self.bias = self.create_parameter([nodes, 1], bias_attr, is_bias=True)

    def forward(self, input, label, path_table=None, path_code=None):
        if self._is_custom and path_table is None:
            raise ValueError(explain("HSigmoidLoss(is_custom=True)", "path_table and path_code", "none"))
        return F.hsigmoid_loss(input, label, self._num_classes, self.weight, self.bias, path_table, path_code)


class AdaptiveLogSoftmaxWithLoss(Layer):
    """`functional.adaptive_log_softmax_with_loss` with its weights.

    cutoffs: rising class numbers below n_classes where the clusters begin. div_value: how much smaller each cluster's
    projection is than the one before. forward(input [N, in_features], label [N]) is (log probabilities, loss).
    """

    def __init__(self, in_features, n_classes, cutoffs, weight_attr=None, bias_attr=None, div_value=4.0,
                 head_bias=False, name=None):
        super().__init__()
        cutoffs = list(cutoffs)
        if not cutoffs or cutoffs != sorted(set(cutoffs)) or cutoffs[0] <= 0 or cutoffs[-1] > n_classes - 1:
            raise ValueError(explain("AdaptiveLogSoftmaxWithLoss", f"rising cutoffs between 1 and {n_classes - 1}",
                                     str(cutoffs)))
        self.in_features, self.n_classes, self.div_value = in_features, n_classes, div_value
        self.cutoffs = [*cutoffs, n_classes]
        self.shortlist_size, self.n_clusters = cutoffs[0], len(cutoffs)
        self.head_size = self.shortlist_size + self.n_clusters
        self.head_weight = self.create_parameter([in_features, self.head_size], weight_attr)
        self.head_bias = self.create_parameter([self.head_size], bias_attr, is_bias=True) if head_bias else None
        self.tail_weights = []
        for k, (low, high) in enumerate(zip(self.cutoffs, self.cutoffs[1:])):
            size = max(1, int(in_features // div_value ** (k + 1)))
            pair = (self.create_parameter([in_features, size], weight_attr),
                    self.create_parameter([size, high - low], weight_attr))
            for part, weight in enumerate(pair):
                self.add_parameter(f"tail_weight_{k}_{part}", weight)
            self.tail_weights.append(pair)

    def forward(self, input, label):
        return F.adaptive_log_softmax_with_loss(input, label, self.head_weight, self.tail_weights, self.cutoffs,
                                                self.head_bias)

    def log_prob(self, input):
        """[N, n_classes]: the log probability of every class."""
        head = F.linear(input, self.head_weight, self.head_bias)
        head = F.log_softmax(head, axis=1)
        parts = [head[:, :self.shortlist_size]]
        for k, (first, second) in enumerate(self.tail_weights):
            cluster = F.log_softmax(F.linear(F.linear(input, first), second), axis=1)
            parts.append(cluster + head[:, self.shortlist_size + k:self.shortlist_size + k + 1])
        return concat(parts, axis=1)

    def predict(self, input):
        """[N]: the likeliest class."""
        return argmax(self.log_prob(input), axis=1)
