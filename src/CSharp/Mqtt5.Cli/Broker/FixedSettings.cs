namespace Mqtt5.Cli;

/// <summary>The settings of a broker that a reload cannot change: they need a restart, and a reload that would change one is refused.</summary>
internal static class FixedSettings
{
    // Those of mosquitto without a counterpart have their names there.
    private static readonly (string Key, Func<BrokerRequest, object?> Value)[] All =
    [
        ("threads", one => one.Threads),
        ("store", one => one.Store),
        ("store-sync", one => one.StoreOptions.Sync),
        ("store-sync-interval", one => one.StoreOptions.SyncInterval),
        ("store-damaged", one => one.StoreOptions.WhenDamaged),
        ("store-min-free", one => one.StoreMinimumFreeBytes),
        ("reload-on-change", one => one.ReloadsOnChange),
        ("allow-anonymous", one => one.AllowAnonymous),
        ("versions", one => one.Versions),
        ("when-refused", one => one.WhenRefused),
        ("shared-before-5", one => one.SharedSubscriptionsBeforeV5),
        ("client-id-is-user-name", one => one.ClientIds.Equals(ClientIdRule.UserName)),
        ("client-id-is-certificate-name", one => one.ClientIds.Equals(ClientIdRule.CertificateName)),
        ("when-sessions-full", one => one.WhenSessionsFull),
        ("ws-origins", one => string.Join(',', one.WebSocketOrigins)),
        ("ws-subprotocol", one => string.Join(',', one.WebSocketSubProtocols)),
        ("admin-port", one => one.AdminPort),
        ("admin-bind", one => one.AdminAddress),
        ("admin-tls", one => one.AdminTls),
        ("admin-hosts", one => string.Join(',', one.AdminHosts)),
        ("admin-token-file", one => one.AdminTokenFile),
        // The HTTP API goes on with the files that it has.
        ("cert", one => one.AdminTls ? one.Certificate : null),
        ("key", one => one.AdminTls ? one.Key : null),
        ("client-ca", one => one.AdminTls ? one.ClientAuthorities : null),
        // Another file is read, but whether clients have to authenticate is settled at the start.
        ("password-file", one => one.HasAuthentication),
        ("access-file", one => one.HasAuthorization),
        ("use_identity_as_username", one => one.IdentityIsUserName),
        ("max_qos", one => one.MaximumQoS),
        ("retain_available", one => one.RetainAvailable),
        ("queue_qos0_messages", one => one.QueuesQoS0),
        ("allow_zero_length_clientid", one => one.AssignsClientIds),
        ("sys_interval", one => one.SystemTopicsInterval),
    ];

    /// <summary>The first that is not the same in both; null: all are.</summary>
    public static string? FirstChange(BrokerRequest earlier, BrokerRequest next) =>
        Array.Find(All, setting => !Equals(setting.Value(earlier), setting.Value(next))).Key;
}
