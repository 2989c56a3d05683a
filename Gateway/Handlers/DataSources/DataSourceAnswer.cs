namespace Fanfare.Gateway.Handlers.DataSources;

/// <summary>What went wrong between this process and the service, as opposed to what the service answered.</summary>
internal enum DataSourceFault
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>The time was up.</summary>
    TimedOut,

    /// <summary>No connection could be made, so nothing ran.</summary>
    Unreachable,

    /// <summary>The connection broke; what ran is unknown.</summary>
    Disconnected,

    /// <summary>The answer is larger than allowed.</summary>
    ResponseTooLarge,

    /// <summary>The answer is not what the service should send.</summary>
    MalformedResponse,

    /// <summary>Too many calls of this data source wait already; nothing was sent.</summary>
    Overloaded,

    /// <summary>Nothing says where the service is; nothing was sent.</summary>
    Unsupported,
}

/// <summary><c>ctx.error</c>: what a handler learns of a failed call.</summary>
/// <param name="Type">The source and the exception, such as <c>DynamoDB:ConditionalCheckFailedException</c>.</param>
/// <param name="Message">The text; the service's own, which may hold anything: it is not logged.</param>
/// <param name="UnhandledErrorType">The type that a failed function gave, or <see langword="null"/>.</param>
internal sealed record DataSourceError(string Type, string Message, string? UnhandledErrorType = null);

/// <summary>What came of a call: a result, an error for the handler, or a request that no call could be made of.</summary>
internal sealed class DataSourceAnswer
{
    private static readonly byte[] s_null = "null"u8.ToArray();

    private DataSourceAnswer(ReadOnlyMemory<byte> json) => Json = json;

    /// <summary><c>ctx.result</c>, one well-formed JSON value; <c>null</c> where there is none.</summary>
    public ReadOnlyMemory<byte> Json { get; }

    /// <summary><c>ctx.error</c>, or <see langword="null"/> where the call succeeded.</summary>
    public DataSourceError? Error { get; private init; }

    /// <summary>Why the request is no request of this data source, which makes the handler fail; else <see langword="null"/>.</summary>
    public string? InvalidReason { get; private init; }

    /// <summary>Where <see cref="Error"/> comes from, if not from the service.</summary>
    public DataSourceFault Fault { get; private init; }

    /// <summary>The call succeeded.</summary>
    public static DataSourceAnswer Result(ReadOnlyMemory<byte> json) => new(json);

    /// <summary>The call succeeded without a result.</summary>
    public static DataSourceAnswer Empty() => new(s_null);

    /// <summary>The service answered with an error.</summary>
    /// <param name="type">The error's type.</param>
    /// <param name="message">The error's text.</param>
    /// <param name="unhandledErrorType">The type that a failed function gave.</param>
    /// <param name="result">What <c>ctx.result</c> is all the same; <c>null</c> by default.</param>
    public static DataSourceAnswer Failed(
        string type, string message, string? unhandledErrorType = null, ReadOnlyMemory<byte>? result = null) =>
        new(result ?? s_null) { Error = new DataSourceError(type, message, unhandledErrorType) };

    /// <summary>No answer came.</summary>
    /// <param name="fault">Why.</param>
    /// <param name="source">The service as error types name it.</param>
    public static DataSourceAnswer Faulted(DataSourceFault fault, string source) => Faulted(fault, fault switch
    {
        DataSourceFault.TimedOut => new DataSourceError($"{source}:TimeoutException", "Execution timed out."),
        DataSourceFault.Unreachable => new DataSourceError($"{source}:ConnectionException", "The data source cannot be reached."),
        DataSourceFault.Disconnected => new DataSourceError($"{source}:ConnectionException", "The connection to the data source broke."),
        DataSourceFault.ResponseTooLarge =>
            new DataSourceError($"{source}:ResponseTooLargeException", "The data source's answer is too large."),
        DataSourceFault.MalformedResponse =>
            new DataSourceError($"{source}:MalformedResponseException", "The data source's answer cannot be read."),
        DataSourceFault.Overloaded =>
            new DataSourceError($"{source}:ThrottlingException", "Too many calls of the data source are under way."),
        _ => new DataSourceError("UnsupportedDataSource", "The data source cannot be called."),
    });

    /// <summary>No answer came.</summary>
    public static DataSourceAnswer Faulted(DataSourceFault fault, DataSourceError error) => new(s_null) { Error = error, Fault = fault };

    /// <summary>The request makes no sense to this data source.</summary>
    /// <param name="reason">Which member is wrong, and how; no values.</param>
    public static DataSourceAnswer Invalid(string reason) => new(s_null) { InvalidReason = reason };
}
