//! The actions, and how many calls of each a second an account may make.

macro_rules! actions {
    ($($name:ident $qps:literal,)*) => {
        /// An action of the API, or the upload to the object store.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "the names are the documented ones")]
        pub enum Action { $($name,)* }

        impl Action {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The documented name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// Calls a second; 10 where no document says (*assumed*).
            #[must_use]
            pub const fn queries_per_second(self) -> u32 {
                match self { $(Self::$name => $qps,)* }
            }
        }
    };
}

actions!(
    GenerateOTAUploadURL 10,
    CreateOTAFirmware 10,
    ModifyOTAFirmware 10,
    ListOTAFirmware 10,
    QueryOTAFirmware 20,
    DeleteOTAFirmware 10,
    CreateOTAVerifyJob 10,
    CreateOTAStaticUpgradeJob 20,
    CreateOTADynamicUpgradeJob 20,
    QueryOTAJob 10,
    ListOTAJobByFirmware 10,
    ListOTAJobByDevice 10,
    ListOTATaskByJob 10,
    ListOTAUnfinishedTaskByDevice 10,
    CancelOTAStrategyByJob 10,
    CancelOTATaskByJob 5,
    CancelOTATaskByDevice 10,
    ConfirmOTATask 20,
    ReupgradeOTATask 20,
    CreateOTAModule 10,
    UpdateOTAModule 10,
    DeleteOTAModule 10,
    ListOTAModuleByProduct 10,
    ListOTAModuleVersionsByDevice 10,
    QueryDevice 10,
    QueryDeviceDetail 50,
    BatchQueryDeviceDetail 5,
    QueryDeviceByTags 5,
    QueryDeviceGroupList 100,
    QueryDeviceGroupInfo 30,
    QueryDeviceListByDeviceGroup 5,
    PostObject 1000,
);

impl Action {
    /// The action of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|action| action.as_str() == name && *action != Self::PostObject)
    }
}
