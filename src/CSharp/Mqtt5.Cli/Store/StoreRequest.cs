namespace Mqtt5.Cli;

/// <summary>What <c>mqtt5 store</c> is asked for.</summary>
/// <param name="Action">What is done: one of <see cref="StoreCommand.Actions"/>.</param>
/// <param name="Directory">The folder of the store.</param>
/// <param name="Target">The folder for a backup; null: none was given.</param>
internal sealed record StoreRequest(string Action, string Directory, string? Target);
