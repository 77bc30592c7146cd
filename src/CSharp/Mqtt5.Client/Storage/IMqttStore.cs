namespace Mqtt5.Storage;

/// <summary>
/// A log on disk that outlives the process: groups of records go in, and come out again at the next start. A store
/// compacts itself: what a later record makes superfluous is not read back. The bytes of a group are the ones of
/// <c>JournalCodec</c>. One process has a store at a time.
/// </summary>
/// <remarks>
/// The calls come in this order: <see cref="OpenAsync"/> once, <see cref="ReadAsync"/> once and to its end, then
/// <see cref="Commit"/> from one thread at a time. <see cref="FreeBytes"/> and <see cref="BackupAsync"/> may be called
/// from any thread once the store is open, also while a group is committed.
/// </remarks>
public interface IMqttStore : IAsyncDisposable
{
    /// <summary>Takes the store for this process and checks it. A store that is refused keeps every byte it has.</summary>
    /// <param name="cancellationToken">Gives up; the store is then as it was and not open.</param>
    /// <returns>A task that ends once groups may be read.</returns>
    /// <exception cref="MqttStoreException">
    /// The store is in use, newer than this version, damaged, read-only, or no store at all.
    /// </exception>
    /// <exception cref="InvalidOperationException">The store is open already.</exception>
    ValueTask OpenAsync(CancellationToken cancellationToken = default);

    /// <summary>
    /// Everything that is stored, as groups of records that give the state when they are applied in order. It is read in
    /// parts, so that memory holds one group at a time.
    /// </summary>
    /// <param name="cancellationToken">Stops the reading between two groups.</param>
    /// <returns>The groups. The bytes of one are its reader's to keep.</returns>
    /// <exception cref="MqttStoreException">What is stored is damaged, with the place; or it cannot be read.</exception>
    /// <exception cref="InvalidOperationException">The store is not open, or was read before.</exception>
    IAsyncEnumerable<ReadOnlyMemory<byte>> ReadAsync(CancellationToken cancellationToken = default);

    /// <summary>
    /// Appends one group, all or nothing, and returns when it is as durable as the store was asked to make it. The bytes
    /// are the caller's again afterwards.
    /// </summary>
    /// <param name="group">One group of records; not empty.</param>
    /// <exception cref="MqttStoreException">
    /// <see cref="MqttStoreFault.NoSpace"/>: nothing of the group is stored, and it may be committed again.
    /// Any other fault: whether the group is stored is not known, and each later call fails with the same fault.
    /// </exception>
    /// <exception cref="InvalidOperationException">The store is not open, or was not read to its end.</exception>
    void Commit(ReadOnlySpan<byte> group);

    /// <summary>The bytes that the store may still use; <see cref="long.MaxValue"/> where there is no bound.</summary>
    /// <exception cref="InvalidOperationException">The store is not open.</exception>
    long FreeBytes { get; }

    /// <summary>
    /// Copies the store to another folder while it is used. The copy holds each group that was committed before the call,
    /// and no group of which an earlier one is missing.
    /// </summary>
    /// <param name="directory">The folder to make; it must be empty or not exist.</param>
    /// <param name="cancellationToken">Gives up; what was copied so far stays and is no store.</param>
    /// <returns>A task that ends once the copy is durable.</returns>
    /// <exception cref="MqttStoreException">The copy could not be written, or what is stored is damaged.</exception>
    /// <exception cref="InvalidOperationException">The store is not open.</exception>
    /// <exception cref="NotSupportedException">The store has no files.</exception>
    ValueTask BackupAsync(string directory, CancellationToken cancellationToken = default);
}
