//! The sources the binary knows, and the canonical columns of each. A
//! pipeline maps its own columns onto them; everything behind reads only
//! these, so the whole project type-checks without data.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};

use super::types::ColumnType::{self, Boolean, Date, Id, Text, Timestamp};
use super::types::{IdType, MONEY};

/// A kind of source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceKind {
    /// Its name in YAML and in SQL (`sources.<name>`).
    pub name: &'static str,
    /// The columns a pipeline maps.
    pub columns: &'static [SourceColumn],
}

/// A canonical column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceColumn {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: ColumnType,
    /// Whether a pipeline must map it.
    pub need: Need,
    /// What it means.
    pub doc: &'static str,
}

/// Whether a column must be mapped, and how it enters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Must be mapped; a row where it is null is set aside.
    Required,
    /// A typed null where it is not mapped.
    Optional,
    /// Not mapped but computed where the source enters.
    Derived,
}

use Need::{Derived, Optional, Required};

const fn column(
    name: &'static str,
    kind: ColumnType,
    need: Need,
    doc: &'static str,
) -> SourceColumn {
    SourceColumn { name, kind, need, doc }
}

/// Every source there is, `orders` first.
pub const SOURCES: &[SourceKind] = &[
    SourceKind {
        name: "orders",
        columns: &[
            column("order_id", Id, Required, "the order's own id"),
            column("customer_id", Id, Required, "who ordered"),
            column("ordered_at", Timestamp, Required, "when it was bought, UTC"),
            column("order_date", Date, Derived, "the day of ordered_at in $timezone"),
            column("amount", MONEY, Required, "money; negative lowers revenue"),
            column(
                "kind",
                Text,
                Optional,
                "sale, refund or redemption; else by the sign of amount",
            ),
            column("is_refund", Boolean, Derived, "kind is refund"),
            column("refund_of", Id, Optional, "the order_id of the sale that a refund is of"),
            column("line_id", Text, Optional, "tells equal lines of one order apart"),
            column("channel", Text, Optional, "where it was bought"),
            column("store", Text, Optional, "which shop"),
            column("campaign", Text, Optional, "what brought the order about"),
            column("currency", Text, Optional, "of amount"),
            column("discount", MONEY, Optional, "money taken off"),
            column("cost", MONEY, Optional, "what the goods cost"),
            column(
                "order_rank",
                ColumnType::Bigint,
                Derived,
                "the number that a text order_id spells, the highest where it spells none; 0 of ids \
                 that are numbers",
            ),
            column("named_refunds", MONEY, Derived, "money of refunds that name this sale"),
            column("named_cost", MONEY, Derived, "cost of refunds that name this sale"),
        ],
    },
    SourceKind {
        name: "order_lines",
        columns: &[
            column("order_id", Id, Required, "the order"),
            column("product_id", Id, Required, "what was bought"),
            column("quantity", ColumnType::Decimal(18, 4), Required, "how many"),
            column("unit_price", ColumnType::Decimal(18, 4), Required, "money for one"),
            column("line_id", Text, Optional, "tells equal lines apart"),
            column("category", Text, Optional, "product category"),
            column("list_price", ColumnType::Decimal(18, 4), Optional, "before discount"),
        ],
    },
    SourceKind {
        name: "customers",
        columns: &[
            column("customer_id", Id, Required, "the customer"),
            column("acquired_at", Date, Optional, "when they were won"),
            column("channel", Text, Optional, "how they were won"),
            column("acquisition_cost", MONEY, Optional, "what winning them cost"),
        ],
    },
    SourceKind {
        name: "customer_ids",
        columns: &[
            column("source_id", Id, Required, "an id under which orders come"),
            column("customer_id", Id, Required, "the person behind it"),
        ],
    },
    SourceKind {
        name: "acquisition_costs",
        columns: &[
            column("month", Date, Required, "first day of the month"),
            column("channel", Text, Required, "where it was spent"),
            column("amount", MONEY, Required, "marketing spend"),
        ],
    },
    SourceKind {
        name: "service_costs",
        columns: &[
            column("month", Date, Required, "first day of the month"),
            column("amount", MONEY, Required, "what keeping customers cost"),
            column("customer_id", Id, Optional, "for whom, if for one"),
        ],
    },
    SourceKind {
        name: "referrals",
        columns: &[
            column("referrer_id", Id, Required, "who told"),
            column("referred_id", Id, Required, "who was told"),
            column("referred_at", Timestamp, Required, "when"),
            column("share_id", Text, Optional, "one share may reach several people"),
        ],
    },
    SourceKind {
        name: "surveys",
        columns: &[
            column("customer_id", Id, Required, "who answered"),
            column("answered_at", Timestamp, Required, "when"),
            column("score", ColumnType::Bigint, Required, "0 to 10"),
            column("kind", Text, Optional, "nps or csat"),
            column("store", Text, Optional, "about which shop"),
            column("product_id", Id, Optional, "about which product"),
        ],
    },
    SourceKind {
        name: "leads",
        columns: &[
            column("lead_id", Id, Required, "the lead"),
            column("created_at", Timestamp, Required, "when it came"),
            column("customer_id", Id, Optional, "once converted"),
            column("channel", Text, Optional, "where from"),
        ],
    },
    SourceKind {
        name: "events",
        columns: &[
            column("customer_id", Id, Required, "who"),
            column("happened_at", Timestamp, Required, "when"),
            column("event", Text, Required, "login, view, cart, visit …"),
        ],
    },
];

/// The source of a name.
pub fn source_kind(name: &str) -> Option<&'static SourceKind> {
    SOURCES.iter().find(|source| source.name == name)
}

impl SourceColumn {
    /// Whether its values are ids of customers, as those of orders are.
    pub fn names_a_customer(&self) -> bool {
        matches!(self.name, "customer_id" | "source_id" | "referrer_id" | "referred_id")
    }
}

impl SourceKind {
    /// The table the SQL sees. `line_id` only tells lines apart on the way in.
    pub fn schema(&self, id: IdType) -> SchemaRef {
        let visible = self.columns.iter().filter(|c| self.name != "orders" || c.name != "line_id");
        let fields = visible.map(|column| Field::new(column.name, column.kind.arrow(id), true));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// The columns of its rows that are set aside, with types and meanings: why, which,
    /// and the row as it was mapped.
    pub fn aside(&self) -> Vec<(&'static str, ColumnType, &'static str)> {
        let mut columns = vec![
            ("reason", ColumnType::Text, "why the row was set aside"),
            ("row_number", ColumnType::Bigint, "tells the rows of a reason apart, from 1"),
        ];
        let own = self.columns.iter().filter(|c| c.need != Derived || c.name == "order_date");
        columns.extend(own.map(|column| (column.name, column.kind, column.doc)));
        columns
    }

    /// A canonical column.
    pub fn column(&self, name: &str) -> Option<&'static SourceColumn> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The names a pipeline may map.
    pub fn mappable(&self) -> impl Iterator<Item = &'static str> {
        self.columns.iter().filter(|column| column.need != Derived).map(|column| column.name)
    }
}
