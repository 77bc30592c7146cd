namespace Mqtt5.HttpHook;

/// <summary>Which HTTP server is asked about clients, and how. Read once, by <c>AddMqttHttpHook</c>.</summary>
public sealed class MqttHttpHookOptions
{
    private const int MostAnswers = 1_000_000;
    private const int MostAnswerBytes = 1 << 20;
    private const int MostRequests = 1_024;

    /// <summary>
    /// Where a POST asks whether a client may connect; null, the default: the hook does not authenticate. Absolute, without
    /// user information; <c>https</c>, or <c>http</c> to a loopback address unless <see cref="AllowUnencrypted"/> is set.
    /// </summary>
    public Uri? AuthenticationUrl { get; set; }

    /// <summary>
    /// Where a POST asks whether a client may publish to a topic or subscribe to a filter, if the answer to its
    /// authentication had no rules; null, the default: it is not asked. The same is required of it as of <see cref="AuthenticationUrl"/>.
    /// </summary>
    public Uri? AuthorizationUrl { get; set; }

    /// <summary>Whether passwords may be sent by <c>http</c> to other machines, where they can be read on the way. Default: false.</summary>
    public bool AllowUnencrypted { get; set; }

    /// <summary>
    /// Headers of each request, such as <c>Authorization</c> with a bearer token for the server. Default: none. A value that
    /// changes is set by a handler of the <c>IHttpClientBuilder</c> that <c>AddMqttHttpHook</c> returns.
    /// </summary>
    public IDictionary<string, string> Headers { get; } = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);

    /// <summary>
    /// How long an answer may take, from the question to its last byte, the time in line included; more than zero, at most a
    /// minute, and less than <see cref="MqttBrokerLimits.ConnectTimeout"/>. Default: 5 seconds.
    /// </summary>
    public TimeSpan TimeLimit { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// How long an answer that allows is kept: zero, for not at all, to a day. One with <c>expiresAt</c> is not kept beyond
    /// that. A password that was withdrawn opens connections for as long. Default: a minute.
    /// </summary>
    public TimeSpan AllowedCacheTime { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>How long an answer that denies is kept: zero, for not at all, to a day. Default: 10 seconds.</summary>
    public TimeSpan DeniedCacheTime { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// How many answers that allow are kept for each of the two URLs, and how many that deny: 1 to 1,000,000. When there are
    /// as many, the oldest goes. Default: 10,000.
    /// </summary>
    public int CachedAnswers { get; set; } = 10_000;

    /// <summary>The longest answer in bytes: 1 to 1,048,576. A longer one is not read to its end and counts as none. Default: 65,536.</summary>
    public int MaximumAnswerBytes { get; set; } = 65_536;

    /// <summary>How many requests may be under way to the server: 1 to 1,024. Others wait for their turn. Default: 32.</summary>
    public int MaximumConcurrentRequests { get; set; } = 32;

    internal void Check()
    {
        if (AuthenticationUrl is null && AuthorizationUrl is null)
            throw new ArgumentException($"the HTTP hook needs {nameof(AuthenticationUrl)} or {nameof(AuthorizationUrl)}");

        CheckUrl(AuthenticationUrl, nameof(AuthenticationUrl));
        CheckUrl(AuthorizationUrl, nameof(AuthorizationUrl));
        CheckHeaders();
        CheckRange(TimeLimit > TimeSpan.Zero && TimeLimit <= TimeSpan.FromMinutes(1), TimeLimit, nameof(TimeLimit));
        CheckRange(IsCacheTime(AllowedCacheTime), AllowedCacheTime, nameof(AllowedCacheTime));
        CheckRange(IsCacheTime(DeniedCacheTime), DeniedCacheTime, nameof(DeniedCacheTime));
        CheckRange(CachedAnswers is >= 1 and <= MostAnswers, CachedAnswers, nameof(CachedAnswers));
        CheckRange(MaximumAnswerBytes is >= 1 and <= MostAnswerBytes, MaximumAnswerBytes, nameof(MaximumAnswerBytes));
        CheckRange(MaximumConcurrentRequests is >= 1 and <= MostRequests, MaximumConcurrentRequests, nameof(MaximumConcurrentRequests));
    }

    private static bool IsCacheTime(TimeSpan time) => time >= TimeSpan.Zero && time <= TimeSpan.FromDays(1);

    private static void CheckRange(bool isIn, object value, string name)
    {
        if (!isIn)
            throw new ArgumentOutOfRangeException(name, value, "the option is out of its range");
    }

    // No message has the URL: a password in it would be in the log.
    private void CheckUrl(Uri? url, string name)
    {
        if (url is null)
            return;

        // The second is a scheme of service discovery, which prefers the first part of it.
        if (!url.IsAbsoluteUri || url.Scheme is not ("https" or "http" or "https+http"))
            throw new ArgumentException("the URL of an HTTP hook is absolute, and of http or https", name);

        if (url.UserInfo.Length > 0)
            throw new ArgumentException("the URL of an HTTP hook has no user information: give a header", name);

        if (url.Scheme != Uri.UriSchemeHttps && !url.IsLoopback && !AllowUnencrypted)
            throw new ArgumentException($"passwords are sent to another machine by https only, unless {nameof(AllowUnencrypted)} is set", name);
    }

    private void CheckHeaders()
    {
        using var request = new HttpRequestMessage();

        foreach (var (name, value) in Headers)
        {
            try
            {
                request.Headers.Add(name, value);
            }
            catch (Exception failure) when (failure is FormatException or InvalidOperationException or ArgumentException)
            {
                // Without the failure, whose message has the value.
                throw new ArgumentException($"{name} is no header of a request, or its value is none", nameof(Headers));
            }
        }
    }
}
