/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Parameterized tests are in criterion.h too. */
#include "criterion.h"
