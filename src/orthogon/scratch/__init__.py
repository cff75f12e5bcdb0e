"""The field from scratch: every algorithm step by step in plain NumPy, to be read in this order.

Each file tells one story: the idea, its equations, the lines that compute them, and a demo. They are the textbook and
the oracle, never on the product's path; each names the product's call that does the same. Examples are columns, X is
(n_x, m), in dense networks, and the first axis, (m, H, W, C), in convolution.

    python -m orthogon.scratch.softmax          # a story in figures, and a picture

Network basics
    notation                names and shapes of an L-layer network
    weight-table            the error of one weight
    gradient-descent        downhill, and how too long a step shows
    computation-graph       derivatives from right to left
    vectorisation           matrix products for loops
    activations             sigmoid, tanh, ReLU, leaky ReLU
    softmax                 scores to probabilities, and to one decision
    losses                  cross-entropy for two classes and for C
    logistic-regression     one neuron
    shallow-network         one hidden layer
    deep-network            L layers
    nonlinearity            why an activation must bend
    symmetry                why weights must start apart
    depth                   what depth saves: parity
    drivers                 data, computation, algorithms

Training and regularisation
    initialisation          first weights of the right size
    vanishing-gradients     a factor a layer, to the power of the depth
    input-normalisation     features of mean 0 and variance 1
    gradient-checking       is backward right, and if not, where
    regularisation          L2 and L1
    dropout                 units switched off at random
    early-stopping          keep what did best on dev
    batch-norm              normalise inside the network

Optimisation
    mini-batches            a step after every few examples
    ewma                    a running mean that forgets
    momentum                both forms, and Nesterov's
    rmsprop                 divide by the usual size
    adam                    both at once, corrected
    learning-rate-decay     long steps first
    optimisers              four of them on one problem
    saddle-points           where the way down is hidden

Convolution
    edges                   a filter slid over an image
    cross-correlation       what the flip is for
    padding-stride          how large the map is
    convolution             the layer, forward and backward
    pooling                 largest or mean value of a window
    one-by-one              a dense layer at every pixel
    depthwise               space and channels apart
    transpose-convolution   the way back to a larger map
    conv-1d-3d              signals and volumes
    conv-shapes             sizes and parameters of a whole net
    why-convolution         sparse and shared
    local-response-norm     neighbouring channels
"""

TOPICS: tuple[str, ...] = (
    # network basics
    "notation",
    "weight-table",
    "gradient-descent",
    "computation-graph",
    "vectorisation",
    "activations",
    "softmax",
    "losses",
    "logistic-regression",
    "shallow-network",
    "deep-network",
    "nonlinearity",
    "symmetry",
    "depth",
    "drivers",
    # training and regularisation
    "initialisation",
    "vanishing-gradients",
    "input-normalisation",
    "gradient-checking",
    "regularisation",
    "dropout",
    "early-stopping",
    "batch-norm",
    # optimisation
    "mini-batches",
    "ewma",
    "momentum",
    "rmsprop",
    "adam",
    "learning-rate-decay",
    "optimisers",
    "saddle-points",
    # convolution
    "edges",
    "cross-correlation",
    "padding-stride",
    "convolution",
    "pooling",
    "one-by-one",
    "depthwise",
    "transpose-convolution",
    "conv-1d-3d",
    "conv-shapes",
    "why-convolution",
    "local-response-norm",
)
