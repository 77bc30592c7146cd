namespace Mqtt5.Storage;

/// <summary>Options of a <see cref="SqliteMqttStore"/>. They are read when the store is made.</summary>
public sealed class SqliteMqttStoreOptions
{
    /// <summary>When a group counts as stored. Default: <see cref="MqttStoreSync.Every"/>.</summary>
    public MqttStoreSync Sync { get; set; } = MqttStoreSync.Every;

    /// <summary>How often the disk gets what was committed, with <see cref="MqttStoreSync.Interval"/>. From 1 ms; default: 1 s.</summary>
    public TimeSpan SyncInterval { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>What becomes of a store that is damaged. Default: <see cref="MqttStoreDamage.Fail"/>.</summary>
    public MqttStoreDamage WhenDamaged { get; set; } = MqttStoreDamage.Fail;

    // Bounds of the files in pages, so that tests can fill them; 0: none.
    internal long MostJournalPages { get; set; }

    internal long MostTablePages { get; set; }

    // How many bytes of groups are settled in one transaction at most, and how many may wait for that. In bytes.
    internal long SettlingBytes { get; set; } = 32L * 1024 * 1024;

    internal long MostUnsettledBytes { get; set; } = 256L * 1024 * 1024;

    // Between two settlings.
    internal TimeSpan SettlingInterval { get; set; } = TimeSpan.FromSeconds(1);

    internal long ReserveBytes { get; set; } = 16L * 1024 * 1024;

    internal SqliteMqttStoreOptions Checked()
    {
        if (!Enum.IsDefined(Sync))
            throw new ArgumentException($"{nameof(Sync)} has no value {Sync}", nameof(Sync));

        if (!Enum.IsDefined(WhenDamaged))
            throw new ArgumentException($"{nameof(WhenDamaged)} has no value {WhenDamaged}", nameof(WhenDamaged));

        ArgumentOutOfRangeException.ThrowIfLessThan(SyncInterval, TimeSpan.FromMilliseconds(1), nameof(SyncInterval));
        return (SqliteMqttStoreOptions)MemberwiseClone();
    }
}
